"""How often each verdict rule is wrong, and how often it does not say: exactly, by going through every count.

The models of a cell answer n questions, of which the dense one alone gets some right and the sparse one alone others.
Both numbers are drawn; what a rule makes of each pair is known; so is, then, how likely it is to be wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy
from numpy.typing import NDArray
from scipy import stats

from docs.generate import DOCS
from smc_harness.verdict.paired import Paired, p_at_least, p_at_most
from smc_harness.verdict.rule import ALPHA

TOLERANCE = 0.01
"""Of accuracy, in absolute terms, so that the dense score does not matter."""
SIZES = (282, 500, 1000, 2000, 5000)
DROPS = (0.0, 0.005, 0.015, 0.02, 0.03, 0.05)
CURVE = tuple(numpy.round(numpy.arange(-0.01, 0.0401, 0.0025), 4).tolist())
FIGURE = DOCS / "explanation" / "power.svg"
PAGE = DOCS / "explanation" / "verdicts.md"
_MARKS = ("<!-- decisions: written by python -m docs.generate -->\n", "<!-- end -->\n")
_RARE = 1e-9

Counts = NDArray[numpy.int64]


@dataclass(frozen=True)
class Chances:
    """Of a verdict."""

    passed: float
    failed: float

    @property
    def undecided(self) -> float:
        return max(0.0, 1.0 - self.passed - self.failed)

    def wrong(self, drop: float) -> float:
        """drop: the true one."""
        return self.failed if drop <= TOLERANCE else self.passed


def differing(drop: float) -> float:
    """The share of questions on which the models differ: 4 %, as on the mini tasks, or a point more than the drop."""
    return max(0.04, abs(drop) + 0.01)


def chances(rule: str, n: int, drop: float) -> Chances:
    """Of the verdicts of a rule on n questions, where the true drop is known."""
    share = differing(drop)
    first, last = stats.binom.ppf([_RARE, 1 - _RARE], n, share).astype(int)
    counts = numpy.arange(max(0, first), last + 1)
    pairs = [limits(rule, n, int(m)) for m in counts]
    most, least = (numpy.array(side) for side in zip(*pairs, strict=True))
    weights = stats.binom.pmf(counts, n, share)
    losses = stats.binom(counts, (share + drop) / 2 / share)
    return Chances(float(weights @ losses.cdf(most)), float(weights @ losses.sf(least - 1)))


@cache
def limits(rule: str, n: int, m: int) -> tuple[int, int]:
    """Of m differing questions: as many losses at most and it passes, as many at least and it fails."""
    if rule == "tolerance":
        most = _last(m, lambda lost: 2 * lost - m <= TOLERANCE * n + 1e-9)
        return most, most + 1
    most = _last(m, lambda lost: p_at_least(Paired(n, lost, m - lost), TOLERANCE) <= ALPHA)
    least = _last(m, lambda lost: p_at_most(Paired(n, lost, m - lost), TOLERANCE) > ALPHA) + 1
    return most, least


def _last(m: int, holds: Callable[[int], bool]) -> int:
    """The last number from 0 to m for which it holds, if it holds for all before; -1 if for none."""
    low, high = -1, m
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if holds(middle) else (low, middle - 1)
    return low


def table() -> list[str]:
    """Lines of markdown: questions, true drop, and what either rule makes of it."""
    head = ("questions", "true drop", "tolerance: wrong", "noninferiority: wrong", "noninferiority: inconclusive")
    rows = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    for n in SIZES:
        rows += [row(n, drop) for drop in DROPS]
    return rows


def row(n: int, drop: float) -> str:
    """A line of the table."""
    plain, paired = chances("tolerance", n, drop), chances("noninferiority", n, drop)
    shown = (f"{100 * share:.1f} %" for share in (plain.wrong(drop), paired.wrong(drop), paired.undecided))
    return f"| {n} | {100 * drop:g} points | " + " | ".join(shown) + " |"


def write() -> None:
    """Put the table into its page."""
    before, rest = PAGE.read_text(encoding="utf-8").split(_MARKS[0])
    _, after = rest.split(_MARKS[1])
    text = "\n".join(table())
    PAGE.write_text(f"{before}{_MARKS[0]}{text}\n{_MARKS[1]}{after}", encoding="utf-8")


def draw() -> None:
    """How likely each answer of `noninferiority` is, by the true drop, for several numbers of questions."""
    import matplotlib.pyplot as plt

    plt.rcParams["svg.hashsalt"] = "smc-harness"
    figure, axes = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained", sharey=True)
    for n in SIZES:
        found = [chances("noninferiority", n, drop) for drop in CURVE]
        drops = [100 * drop for drop in CURVE]
        axes[0].plot(drops, [one.passed for one in found], label=f"{n} questions")
        axes[1].plot(drops, [one.failed for one in found], label=f"{n} questions")
    for axis, answer in zip(axes, ("pass", "fail"), strict=True):
        axis.axvline(100 * TOLERANCE, color="black", linewidth=1)
        axis.axhline(ALPHA, color="black", linewidth=0.7, linestyle=":")
        axis.set(title=f"probability of {answer}", xlabel="true drop, points of accuracy", ylim=(0, 1.02))
        axis.grid(alpha=0.3)
    axes[1].legend(frameon=False)
    figure.savefig(FIGURE, metadata={"Date": None})
    plt.close(figure)
