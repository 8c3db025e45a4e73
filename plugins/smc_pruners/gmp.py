"""Gradual magnitude pruning: the model is pruned while it is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from smc_harness import PrunerContext, Train, cubic, hookimpl

if TYPE_CHECKING:
    from torch import Tensor, nn

name = "gmp"
phase = "during"
description = "gradual global magnitude pruning under a cubic schedule, within one training"


@dataclass(frozen=True)
class Params:
    """Schedule of Zhu & Gupta 2017 with the window of SMC-Bench.

    start, end: fractions of the training between which the level rises. updates: steps of the staircase.
    """

    start: float = 0.1
    end: float = 0.8
    updates: int = 50


params = Params


@hookimpl
def plan(level: float, context: PrunerContext) -> Sequence[Train]:
    wanted = context.params
    return [Train(prune=cubic(level, wanted.start, wanted.end, wanted.updates))]


@hookimpl
def compute_scores(model: nn.Module, context: PrunerContext) -> Mapping[str, Tensor]:
    return {name: parameter.detach().abs() for name, parameter in context.prunable(model)}
