"""Gradual magnitude pruning: the model is pruned while it is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from smc_harness import PrunerContext, Train, hookimpl
from smc_harness.errors import UsageError
from smc_pruners._original import ORIGINAL_INTERVAL, Original, Params, Stages, check_compat, magnitudes
from smc_pruners._schedule import CubicParams

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class GmpParams(CubicParams, Params):
    """start, end: fractions of the training between which the level rises (those of SMC-Bench). updates: steps of the
    staircase.

    compat: `smc-bench` prunes at multiples of a sixth of the training (500 of 3 000 steps on CommonsenseQA) from start
    up to, and without, end: the last one falls short of the level by 0.7 %. Strict threshold, unmasked gradients and
    optimiser state.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        check_compat(self, unused=("updates",))
        if self.compat == "smc-bench" and not short_of_the_end(1.0, 1.0, self.start, self.end):
            raise UsageError(f"start={self.start}, end={self.end} given; no sixth of the training lies between them")


@dataclass(frozen=True)
class Gmp(Original):
    """Gradual magnitude pruning (Zhu & Gupta 2017)."""

    score = "abs(w)"
    paper = "Zhu & Gupta 2017, arXiv 1710.01878"
    cost = "1 training"
    params = GmpParams

    @hookimpl
    def plan(self, level: float, context: PrunerContext) -> Stages:
        wanted = context.params
        if wanted.compat == "smc-bench":
            schedule = partial(short_of_the_end, level=level, start=wanted.start, end=wanted.end)
            return [Train(prune=schedule, dead="unmasked")]
        return [Train(prune=wanted.schedule(level))]

    @hookimpl
    def compute_scores(self, model: nn.Module, context: PrunerContext) -> Mapping[str, Tensor]:
        return magnitudes(model, context)


def short_of_the_end(fraction: float, level: float, start: float, end: float) -> float:
    """The original's schedule: the cubic at the last multiple of its interval in [start, end)."""
    reached, k = 0.0, 1
    while (at := k * ORIGINAL_INTERVAL) <= fraction + 1e-9 and at < end:
        if at >= start:
            reached = level * (1.0 - (1.0 - (at - start) / (end - start)) ** 3)
        k += 1
    return reached


gmp = Gmp("gmp", "during", "gradual global magnitude pruning under a cubic schedule, within one training")
plugins = (gmp,)
