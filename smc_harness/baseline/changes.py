"""What became of a run's scores since its baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from smc_harness.baseline.drift import Drift
from smc_harness.verdict.first_fail import FirstFail
from smc_harness.verdict.margin import USUAL


class Change(StrEnum):
    """What became of a score, or of all scores of a (task, pruner)."""

    REGRESSION = "regression"
    IMPROVEMENT = "improvement"
    UNKNOWN = "unknown"
    """Nothing is known of chance, or nothing was measured in both."""
    WITHIN = "within"
    """They differ by no more than the tolerance, or by what chance may do."""
    UNCHANGED = "unchanged"
    """They are equal to the bit."""


@dataclass(frozen=True)
class LevelChange:
    """One level, all seeds together. was, now: the scores, in the task's unit. n: examples of the run.

    worse: (low, high) between which the run is worse than the baseline, negative where it is better; each end is wrong
    in one case of twenty at most. None where the scores are within the tolerance, or where nothing is known of chance.
    paired: whether it is from the same examples.
    """

    level: float
    seeds: tuple[int, ...]
    change: Change
    was: float
    now: float
    n: int
    worse: tuple[float, float] | None = None
    paired: bool = False


@dataclass(frozen=True)
class Moved:
    """A first-fail that is surely another than it was."""

    was: FirstFail
    now: FirstFail


@dataclass(frozen=True)
class PairChange:
    """One (task, pruner). levels: those that both measured. moved: its first-fails that are others. tolerance: the
    largest difference that is neither loss nor gain, as --tolerance takes it. unit: of the scores.
    """

    id: str
    task: str
    pruner: str
    change: Change
    levels: Sequence[LevelChange]
    moved: Sequence[Moved]
    tolerance: str = str(USUAL)
    unit: str = ""

    def at(self, change: Change) -> list[LevelChange]:
        """The levels at which there is such a change."""
        return [level for level in self.levels if level.change is change]

    def to_json(self) -> dict[str, Any]:
        moved = [{name: getattr(one, name).to_json() for name in ("was", "now")} for one in self.moved]
        return {
            "task": self.task,
            "pruner": self.pruner,
            "change": self.change.value,
            "tolerance": self.tolerance,
            "unit": self.unit,
            "levels": [asdict(level) for level in self.levels],
            "first_fail_moved": moved,
        }


@dataclass(frozen=True)
class Comparison:
    """A run beside its baseline.

    baseline: its name. there: whether there is one. gone: what only the baseline has, as `toy::snip`; fresh: what only
    the run has.
    """

    baseline: str
    there: bool = True
    pairs: Sequence[PairChange] = ()
    drift: Sequence[Drift] = ()
    gone: Sequence[str] = ()
    fresh: Sequence[str] = ()

    def of(self, change: Change) -> list[PairChange]:
        return [pair for pair in self.pairs if pair.change is change]

    @property
    def regressed(self) -> bool:
        return bool(self.of(Change.REGRESSION))

    def to_json(self) -> dict[str, Any]:
        """The `baseline` member of `--json`, and what `compare --json` writes."""
        return {
            "baseline": self.baseline,
            "there": self.there,
            "pairs": [pair.to_json() for pair in self.pairs],
            "drift": [asdict(item) for item in self.drift],
            "only_in_baseline": list(self.gone),
            "only_in_run": list(self.fresh),
        }
