"""How far below its dense model a sparse one may score."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from smc_harness.errors import UsageError

_POINTS = "abs"
_FORMS = "a share of dense such as 0.01, or an amount in the metric's unit such as 0.5abs, would work"


@dataclass(frozen=True)
class Margin:
    """amount: the largest drop that is accepted, as a share of the dense score, or, if absolute, in the metric's unit.

    The default, 1 % of dense, is the criterion of Essential Sparsity (arXiv 2306.03805).
    """

    amount: float = 0.01
    absolute: bool = False

    @classmethod
    def read(cls, text: Any) -> Margin:
        """From `0.01` or `0.5abs`. Raises ValueError."""
        word = str(text).strip()
        absolute = word.endswith(_POINTS)
        try:
            amount = float(word.removesuffix(_POINTS))
        except ValueError:
            amount = -1.0
        if not (0.0 <= amount < (math.inf if absolute else 1.0)):
            raise ValueError(f"{word!r} given; {_FORMS}")
        return cls(amount, absolute)

    def of(self, dense: float) -> float:
        """In the metric's unit."""
        return self.amount if self.absolute else self.amount * abs(dense)

    def share(self, dense: float, sign: float) -> float:
        """Of the dense score, what is left when the relative margin is taken off. sign: -1 where lower is better."""
        return 1.0 if self.absolute else 1.0 - sign * math.copysign(self.amount, dense)

    def show(self, unit: str) -> str:
        """`1 % of dense`, `0.5 BLEU`, `2 points`."""
        if not self.absolute:
            return f"{100 * self.amount:g} % of dense"
        return f"{100 * self.amount:g} points" if unit == "fraction" else f"{self.amount:g} {unit}".strip()

    def __str__(self) -> str:
        """What `read` reads."""
        return f"{self.amount!r}{_POINTS * self.absolute}"


USUAL = Margin()


def split(text: str) -> tuple[str, Margin]:
    """`opus-*=0.5abs` as the names that it is for and the margin; without names it is for all. Raises UsageError."""
    names, _, amount = text.rpartition("=")
    try:
        return names or "*", Margin.read(amount)
    except ValueError as error:
        raise UsageError(f"--tolerance {text}: {error}") from error


def margin_of(task: str, given: Sequence[str], declared: Any = None) -> Margin:
    """Of a task. given: the values of --tolerance, of which the last that fits holds; declared: what the task says.

    Raises UsageError.
    """
    for names, margin in map(split, reversed(given)):
        if fnmatchcase(task, names):
            return margin
    try:
        return USUAL if declared is None else Margin.read(declared)
    except ValueError as error:
        raise UsageError(f"{task}: tolerance is {error}") from error
