"""Magnitude pruning: the weights of smallest absolute value go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from smc_harness import Prune, PrunerContext, Train, hookimpl
from smc_harness.declarations.plans import Stage
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


class OneShot:
    """What calibrated pruning of large models is compared with (Sun et al. 2024, section 4)."""

    name = "magnitude-one-shot"
    phase = "after"
    description = "magnitude pruning of the trained model, every layer by itself, without retraining"
    score = "abs(w)"
    paper = "Sun et al. 2024, arXiv 2306.11695, section 4"
    cost = "no training"
    default = False
    nested = True
    allocation = "uniform"
    local = True

    @hookimpl
    def plan(self, level: float) -> Sequence[Stage]:
        return [Train(), Prune(level)]

    @hookimpl
    def compute_scores(self, model: nn.Module, context: PrunerContext) -> Mapping[str, Tensor]:
        return magnitudes(model, context)


after = Magnitude("magnitude-after", "after", "one-shot global magnitude pruning of the trained model, then retraining")
before = Magnitude("magnitude-before", "before", "one-shot global magnitude pruning of the start weights")
one_shot = OneShot()
plugins = (after, before, one_shot)
