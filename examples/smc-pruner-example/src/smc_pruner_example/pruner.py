"""`example`: what each weight contributes to the loss, to first order, on some batches of the training data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from smc_harness import hookimpl
from smc_harness.errors import UsageError

if TYPE_CHECKING:
    from smc_harness import PrunerContext
    from torch import Tensor, nn

name = "example"
api = "1.0"
phase = "after"
description = "one-shot pruning of the trained model by the squared first-order Taylor term of the loss"
version = "1"
default = False
allocation = "global"
nested = True
score = "mean over batches of (w dL/dw)^2"
cost = "16 gradients, 1 training"
paper = "Molchanov et al. 2019, arXiv 1906.10771"


@dataclass(frozen=True)
class Params:
    """batches: of training data, each of the size of a training step; the gradient is taken on each of them."""

    batches: int = 16

    def __post_init__(self) -> None:
        if self.batches < 1:
            raise UsageError(f"batches={self.batches} given; a number of at least 1 would work")


params = Params


@hookimpl
def compute_scores(model: nn.Module, context: PrunerContext) -> Mapping[str, Tensor]:
    """The mean over batches of (w g)^2, the squared change of the loss when w is removed (eq. 8), for single weights.

    Molchanov, Mallya, Tyree, Frosio & Kautz 2019, "Importance estimation for neural network pruning". The square is
    taken batch by batch: at the end of a training the gradient over all data is near zero, so that its square would
    tell nothing. A tensor that the loss does not depend on scores zero.
    """
    import torch

    weights = dict(context.prunable(model))
    totals = {tensor_name: torch.zeros_like(weight) for tensor_name, weight in weights.items()}
    for batch in context.batches("train", context.params.batches * context.batch_size):
        loss = context.loss(model, batch)
        gradients = torch.autograd.grad(loss, list(weights.values()), allow_unused=True)
        for (tensor_name, weight), gradient in zip(weights.items(), gradients, strict=True):
            if gradient is not None:
                totals[tensor_name] += (weight.detach() * gradient).square()
    return {tensor_name: total / context.params.batches for tensor_name, total in totals.items()}
