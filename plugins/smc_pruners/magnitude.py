"""Magnitude pruning: the weights of smallest absolute value go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from smc_harness import hookimpl

if TYPE_CHECKING:
    from torch import Tensor, nn

    from smc_harness import PrunerContext


@dataclass(frozen=True)
class Magnitude:
    """One-shot global magnitude pruning (Han et al. 2015; OMP in SMC-Bench)."""

    name: str
    phase: str
    description: str

    @hookimpl
    def compute_scores(self, model: nn.Module, context: PrunerContext) -> Mapping[str, Tensor]:
        return {name: parameter.detach().abs() for name, parameter in context.prunable(model)}


after = Magnitude("magnitude-after", "after", "one-shot global magnitude pruning of the trained model, then retraining")
before = Magnitude("magnitude-before", "before", "one-shot global magnitude pruning of the start weights")
plugins = (after, before)
