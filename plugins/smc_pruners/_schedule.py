"""What pruners that prune during training share: the cubic schedule and its parameters."""

from __future__ import annotations

from dataclasses import dataclass

from smc_harness import cubic
from smc_harness.declarations.plans import LevelSchedule
from smc_harness.errors import UsageError


@dataclass(frozen=True)
class CubicParams:
    """start, end: fractions of the training between which the level rises; updates: steps of the staircase."""

    start: float = 0.1
    end: float = 0.8
    updates: int = 50

    def __post_init__(self) -> None:
        if not 0.0 <= self.start < self.end <= 1.0 or self.updates < 1:
            given = f"start={self.start}, end={self.end}, updates={self.updates} given"
            raise UsageError(f"{given}; 0 <= start < end <= 1 and updates from 1 on would work")

    def schedule(self, level: float) -> LevelSchedule:
        return cubic(level, self.start, self.end, self.updates)
