"""SNIP: connection sensitivity at the start of training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from smc_harness import PrunerContext, hookimpl
from smc_harness.errors import UsageError
from smc_pruners._original import Original, Params, check_compat

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class SnipParams(Params):
    """batches: training batches over which the gradient is averaged.

    compat: `smc-bench` does as the original code did: a single batch, dropout on, strict threshold, so that every
    embedding row whose word the batch lacks has a score of exactly zero and goes whatever the level; unmasked
    gradients and optimiser state.
    """

    batches: int = 8

    def __post_init__(self) -> None:
        if self.batches < 1:
            raise UsageError(f"batches={self.batches} given; a number of at least 1 would work")
        check_compat(self, batches=1)


@dataclass(frozen=True)
class Snip(Original):
    """Single-shot network pruning (Lee, Ajanthan & Torr 2019)."""

    score = "abs(w dL/dw)"
    paper = "Lee et al. 2019, arXiv 1810.02340"
    cost = "8 gradients, 1 training"
    params = SnipParams

    @hookimpl
    def compute_scores(self, model: nn.Module, context: PrunerContext) -> Mapping[str, Tensor]:
        """|w g| with g the gradient of the mean training loss (eq. 6, not normalised)."""
        import torch

        as_original = context.params.compat == "smc-bench"
        model.train(as_original)
        prunable = context.prunable(model)
        parameters = [parameter for _, parameter in prunable]
        totals = [torch.zeros_like(parameter) for parameter in parameters]
        batches = 1 if as_original else context.params.batches
        for batch in context.batches("train", batches * context.batch_size):
            loss = context.loss(model, batch)
            gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
            for total, gradient in zip(totals, gradients, strict=True):
                if gradient is not None:
                    total.add_(gradient)
        return {
            name: (parameter.detach() * total).abs() for (name, parameter), total in zip(prunable, totals, strict=True)
        }


snip = Snip("snip", "before", "single-shot pruning of the start weights by connection sensitivity |w dL/dw|")
plugins = (snip,)
