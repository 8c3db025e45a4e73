"""Iterative magnitude pruning with rewinding: lottery tickets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from smc_harness import Prune, PrunerContext, Rewind, Train, hookimpl, rungs
from smc_harness.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor, nn

name = "lth"
phase = "iterative"
description = "rounds of training, global magnitude pruning and rewinding to the start weights (lottery tickets)"


@dataclass(frozen=True)
class Params:
    """round: share of the remaining weights that a round prunes. rewind: fraction of training to go back to; 0: start.

    Frankle & Carbin 2019; Frankle et al. 2020 for rewind > 0.
    """

    round: float = 0.2
    rewind: float = 0.0

    def __post_init__(self) -> None:
        if not 0.0 < self.round < 1.0 or not 0.0 <= self.rewind < 1.0:
            given = f"lth: round={self.round}, rewind={self.rewind}"
            raise UsageError(f"{given}; 0 < round < 1 and 0 <= rewind < 1 would work")


params = Params


@hookimpl
def plan(level: float, context: PrunerContext) -> Sequence[Train | Prune | Rewind]:
    stages: list[Train | Prune | Rewind] = []
    for rung in rungs(level, context.params.round):
        stages += [Train(), Prune(rung), Rewind(context.params.rewind)]
    return [*stages, Train()]


@hookimpl
def compute_scores(model: nn.Module, context: PrunerContext) -> Mapping[str, Tensor]:
    return {name: parameter.detach().abs() for name, parameter in context.prunable(model)}
