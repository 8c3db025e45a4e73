"""Magnitude pruning: the weights of smallest absolute value go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from smc_harness import PrunerContext, hookimpl
from smc_pruners._original import Original, magnitudes

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class Magnitude(Original):
    """One-shot global magnitude pruning (Han et al. 2015; OMP in SMC-Bench)."""

    score = "abs(w)"
    paper = "Han et al. 2015, arXiv 1506.02626"
    cost = "1 training"

    @hookimpl
    def compute_scores(self, model: nn.Module, context: PrunerContext) -> Mapping[str, Tensor]:
        return magnitudes(model, context)


after = Magnitude("magnitude-after", "after", "one-shot global magnitude pruning of the trained model, then retraining")
before = Magnitude("magnitude-before", "before", "one-shot global magnitude pruning of the start weights")
plugins = (after, before)
