"""Plans: the stages that lead from start weights to a sparse model. Declarations only; torch is not imported."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from smc_harness.errors import PluginError

LevelSchedule = Callable[[float], float]
"""Fraction of the training done, in [0, 1] -> sparsity level; called before every optimiser step."""

Dead = Literal["masked", "unmasked", "kept"]

SAME_LEVEL = 0.002
"""A rung of an iterative pruner that is this close to a level counts as that level (0.5904 is the paper's 0.59)."""

ROUND = 0.2
"""Share of the remaining weights that one round of iterative pruning removes (Frankle & Carbin 2019)."""


@dataclass(frozen=True)
class Train:
    """Train up to the fraction `until` of the recipe.

    A training that stopped before 1.0 is continued; one that reached 1.0 is followed by a new one (a retraining).
    prune: None, or a schedule of levels; whenever its value rises, the weights are scored and pruned anew.
    dead: what becomes of pruned weights, which are zero in any case. `masked`: their gradients and optimiser state
    are zero, too. `unmasked`: those live on, enter the clipping norm, and act again where a weight is revived; several
    published codes do so. `kept`: as `masked`, but a weight's value from before the mask is remembered, and given back
    where the mask revives it (`context.unmasked`).
    """

    until: float = 1.0
    prune: LevelSchedule | None = None
    dead: Dead = "masked"


@dataclass(frozen=True)
class Prune:
    """Score, then prune to `level`."""

    level: float


@dataclass(frozen=True)
class Rewind:
    """Give the surviving weights the values they had at fraction `to` of the dense training; 0: the start weights."""

    to: float = 0.0


Stage = Train | Prune | Rewind


def _cubic(fraction: float, level: float, start: float, end: float, updates: int) -> float:
    if fraction < start:
        return 0.0
    # a step that falls on an update must not miss it by the last bit of a quotient
    done = 1.0 if fraction >= end else int((fraction - start) / (end - start) * updates + 1e-9) / updates
    return level * (1.0 - (1.0 - done) ** 3)


def cubic(level: float, start: float = 0.1, end: float = 0.8, updates: int = 50) -> LevelSchedule:
    """The cubic schedule of gradual magnitude pruning (Zhu & Gupta 2017, eq. 1), from 0 to `level`.

    s(t) = level (1 - (1 - (t - start) / (end - start))^3), as a staircase of `updates` steps; the last step, at
    `end`, reaches `level` exactly. start, end: fractions of the training.
    """
    if not 0.0 <= start < end <= 1.0 or updates < 1:
        raise PluginError(
            f"cubic schedule: start={start}, end={end}, updates={updates} given; "
            "need 0 <= start < end <= 1 and updates >= 1"
        )
    return partial(_cubic, level=level, start=start, end=end, updates=updates)


def rungs(level: float, fraction: float = ROUND) -> list[float]:
    """The levels of the rounds of iterative pruning that end at `level`.

    The chain is 1 - (1 - fraction)^k, whatever levels are asked for: it is walked up to the last rung below `level`,
    and one more round branches off to reach `level` itself. A rung within 0.002 of `level` stands for it.
    """
    if not 0.0 < fraction < 1.0:
        raise PluginError(f"rungs: fraction={fraction} given; a share between 0 and 1 would work")
    ladder: list[float] = []
    k = 1
    while (rung := 1.0 - (1.0 - fraction) ** k) < level - SAME_LEVEL:
        ladder.append(rung)
        k += 1
    ladder.append(rung if abs(rung - level) <= SAME_LEVEL else level)
    return ladder


def default_plan(phase: str, level: float) -> Sequence[Stage]:
    """The plan of a pruner that does not implement `plan`, by its phase."""
    match phase:
        case "before":
            return [Prune(level), Train()]
        case "after":
            return [Train(), Prune(level), Train()]
        case "during":
            return [Train(prune=cubic(level))]
        case "iterative":
            stages: list[Stage] = []
            for rung in rungs(level):
                stages += [Train(), Prune(rung), Rewind(0.0)]
            return [*stages, Train()]
    raise PluginError(f"phase {phase!r} given; before, after, during or iterative would work")
