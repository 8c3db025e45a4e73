"""Random pruning: the baseline that every criterion must beat."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from smc_harness import PrunerContext, hookimpl
from smc_pruners._original import Original, Params

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class RandomParams(Params):
    """compat: `smc-bench` keeps each weight with probability 1 - level, so the number that goes is not exact, and
    masks neither gradients nor optimiser state.
    """


@dataclass(frozen=True)
class Random(Original):
    """Every weight has the same chance to go; the number that goes is exact."""

    score = "uniform draw"
    paper = "-"
    cost = "1 training"
    params = RandomParams

    @hookimpl
    def compute_scores(self, model: nn.Module, context: PrunerContext) -> Mapping[str, Tensor]:
        return uniform_draws(model, context)

    @hookimpl
    def apply_mask(
        self, scores: Mapping[str, Tensor], level: float, context: PrunerContext
    ) -> Mapping[str, Tensor] | None:
        if context.params.compat == "none":
            return None
        return {name: draw >= level for name, draw in scores.items()}


def uniform_draws(model: nn.Module, context: PrunerContext) -> dict[str, Tensor]:
    """{name: draws from [0, 1)}, in float64: among millions of float32 draws many would be equal."""
    import torch

    return {
        name: torch.rand(parameter.shape, generator=context.generator, dtype=torch.float64)
        for name, parameter in context.prunable(model)
    }


after = Random("random-after", "after", "random pruning of the trained model, then retraining")
before = Random("random-before", "before", "random pruning of the start weights")
plugins = (after, before)
