"""Iterative magnitude pruning: rounds of training and pruning, with the weights rewound (LTH) or not (LRR)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from smc_harness import Prune, PrunerContext, Rewind, Train, hookimpl, rungs
from smc_harness.errors import UsageError
from smc_pruners._original import Original, Params, Stages, magnitudes, unmasked

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class RoundParams(Params):
    """round: share of the remaining weights that a round prunes.

    compat: `smc-bench` has a strict threshold and unmasked gradients and optimiser state.
    """

    round: float = 0.2

    def __post_init__(self) -> None:
        if not 0.0 < self.round < 1.0:
            raise UsageError(f"round={self.round} given; a share between 0 and 1 would work")


@dataclass(frozen=True)
class LotteryParams(RoundParams):
    """round: share of the remaining weights that a round prunes. rewind: fraction of training to go back to; 0: start.

    compat: `smc-bench` has a strict threshold and unmasked gradients and optimiser state.
    """

    rewind: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0.0 <= self.rewind < 1.0:
            raise UsageError(f"rewind={self.rewind} given; a fraction in [0, 1) would work")


@dataclass(frozen=True)
class Iterative(Original):
    """Rounds of [Train, Prune], the rounds of lower levels shared with higher ones."""

    score = "abs(w)"
    cost = "1 training a round"

    @hookimpl
    def plan(self, level: float, context: PrunerContext) -> Stages:
        stages: list[Train | Prune | Rewind] = []
        for rung in rungs(level, context.params.round):
            stages += [Train(), Prune(rung), *self.between(context)]
        stages.append(Train())
        return unmasked(stages) if context.params.compat == "smc-bench" else stages

    def between(self, context: PrunerContext) -> Stages:
        """What happens to the weights between a pruning and the next training."""
        return []

    @hookimpl
    def compute_scores(self, model: nn.Module, context: PrunerContext) -> Mapping[str, Tensor]:
        return magnitudes(model, context)


class LotteryTickets(Iterative):
    """The weights go back to where they were (Frankle & Carbin 2019; Frankle et al. 2020 where rewind > 0)."""

    paper = "Frankle & Carbin 2019, arXiv 1803.03635; Frankle et al. 2020, arXiv 1912.05671"
    params = LotteryParams

    def between(self, context: PrunerContext) -> Stages:
        return [Rewind(context.params.rewind)]


class LearningRateRewinding(Iterative):
    """The weights stay, the learning rate starts anew (Renda, Frankle & Carbin 2020)."""

    paper = "Renda et al. 2020, arXiv 2003.02389"
    params = RoundParams


lth = LotteryTickets(
    "lth",
    "iterative",
    "rounds of training, global magnitude pruning and rewinding to the start weights (lottery tickets)",
)
lrr = LearningRateRewinding(
    "lrr", "iterative", "rounds of training and global magnitude pruning, learning rate rewound", default=False
)
plugins = (lth, lrr)
