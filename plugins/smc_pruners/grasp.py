"""GraSP: pruning that preserves the gradient flow at the start of training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from smc_harness import hookimpl
from smc_harness.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from smc_harness import PrunerContext

name = "grasp"
phase = "before"
description = "single-shot pruning of the start weights that preserves the gradient flow, w (Hg)"
default = False
score = "w (H dL/dw)"
paper = "Wang et al. 2020, arXiv 2002.07376"
cost = "8 gradients, 8 Hessian products, 1 training"
nested = True


@dataclass(frozen=True)
class Params:
    """batches: training batches over which the gradient and its product with the Hessian are averaged."""

    batches: int = 8

    def __post_init__(self) -> None:
        if self.batches < 1:
            raise UsageError(f"batches={self.batches} given; a number of at least 1 would work")


params = Params


@hookimpl
def compute_scores(model: nn.Module, context: PrunerContext) -> Mapping[str, Tensor]:
    """The score w (H g), with g the gradient and H the Hessian of the mean training loss over the prunable weights.

    Wang, Zhang & Grosse 2020, "Picking winning tickets before training by preserving gradient flow". Their score is
    S(-w) = -w (H g), what the removal of a weight does to the squared norm of the gradient to first order, and they
    remove the highest; here the highest is kept, hence the other sign. Like there, g and H are of the same examples.

    The published code also divides the logits by a temperature of 200 and draws the same number of examples from
    every class. A general task hands over a loss, neither logits nor classes, so both are left out.

    Returns: {name: tensor of the weight's shape}; zero where the loss does not depend on a tensor.
    """
    import torch

    prunable = context.prunable(model)
    weights = [weight for _, weight in prunable]
    gradient = [torch.zeros_like(weight) for weight in weights]
    product = [torch.zeros_like(weight) for weight in weights]
    with _second_derivatives():
        for loss in _losses(model, context):
            _add(gradient, torch.autograd.grad(loss, weights, allow_unused=True))
        for loss in _losses(model, context):
            _add(product, _hessian_times(gradient, loss, weights))
    # both sums run over the batches; the score is of their means
    share = 1.0 / context.params.batches**2
    return {name: weight.detach() * total * share for (name, weight), total in zip(prunable, product, strict=True)}


def _losses(model: nn.Module, context: PrunerContext) -> Iterator[Tensor]:
    """The loss of each batch; the same batches at every call."""
    for batch in context.batches("train", context.params.batches * context.batch_size):
        yield context.loss(model, batch)


def _hessian_times(vector: list[Tensor], loss: Tensor, weights: list[nn.Parameter]) -> tuple[Tensor | None, ...]:
    """The Hessian of the loss times a vector: the gradient of <gradient, vector>. None where that is constant."""
    import torch

    first = torch.autograd.grad(loss, weights, create_graph=True, allow_unused=True)
    pairs = zip(first, vector, strict=True)
    # a gradient that depends on no weight has no graph, and adds nothing
    terms = [(piece * other).sum() for piece, other in pairs if piece is not None and piece.requires_grad]
    if not terms:
        return (None,) * len(weights)
    return torch.autograd.grad(torch.stack(terms).sum(), weights, allow_unused=True)


def _add(totals: list[Tensor], pieces: tuple[Tensor | None, ...]) -> None:
    for total, piece in zip(totals, pieces, strict=True):
        if piece is not None:
            total.add_(piece)


@contextmanager
def _second_derivatives() -> Iterator[None]:
    """Run layers on kernels that can be differentiated twice.

    The fused LSTMs of oneDNN and cuDNN and the fused attention cannot. As before on the way out.
    """
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel

    # allow_tf32=None leaves that switch alone: on most builds turning it raises a warning
    mkldnn = torch.backends.mkldnn.flags(enabled=False, allow_tf32=None)
    cudnn = torch.backends.cudnn.flags(enabled=False, allow_tf32=None)
    with mkldnn, cudnn, sdpa_kernel(SDPBackend.MATH):
        yield
