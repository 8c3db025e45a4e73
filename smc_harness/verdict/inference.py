"""What evidence says of the drop: two p-values, an interval, and what would decide where they do not."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache

from scipy import special

from smc_harness.verdict.evidence import Evidence
from smc_harness.verdict.margin import Margin
from smc_harness.verdict.paired import Paired, interval, p_at_least, p_at_most, score
from smc_harness.verdict.rule import ALPHA
from smc_harness.verdict.spread import Spread

POWER = 0.8
"""How likely a decision is to come with the examples or seeds that are named as needed."""
_MOST_SEEDS = 1000
_KNOWN = 5
"""Seeds from which on it is known well enough what they add, to say how many examples would do."""


@dataclass(frozen=True)
class Finding:
    """within: the p-value of the hypothesis that the drop is the margin or more; a small one: it is within the margin.
    beyond: of the hypothesis that it is the margin or less. distance: by how many standard errors the drop is off the
    margin.
    """

    within: float
    beyond: float
    distance: float


def weigh(found: Evidence, margin: Margin) -> Finding | None:
    """Whether the drop is within a margin of the dense score; None where there is nothing to tell it by.

    Where every example is right or wrong by itself, by the exact test. Where examples come in groups, or several seeds
    answered them, by as many questions as the answers are worth, or by Student's t, whichever is less sure: the one
    knows that answers are counts, the other how well their spread is known.
    """
    if found.alone and found.table is not None:
        return _exact(found.table, margin.of(found.dense))
    spread = found.spread()
    if spread is None:
        return None
    student = _student(found, spread, margin)
    if found.table is None:
        return student
    exact = _exact(effective(found.table, spread, found.clusters), margin.of(found.dense))
    return Finding(max(exact.within, student.within), max(exact.beyond, student.beyond), exact.distance)


@lru_cache(maxsize=4096)
def _exact(table: Paired, drop: float) -> Finding:
    distance = float(score(table.lost, table.gained, table.n, drop))
    return Finding(p_at_least(table, drop), p_at_most(table, drop), distance)


def _student(found: Evidence, spread: Spread, margin: Margin) -> Finding:
    share, beyond = margin.share(found.dense, found.sign), found.drop - margin.of(found.dense)
    error = spread.error(share)
    if error == 0.0:  # nothing varies: as sure as so many draws that are all alike can be
        unsure = 1.0 / spread.examples.clusters
        sides = (unsure, 1.0) if beyond <= 0 else (1.0, unsure)
        return Finding(*sides, math.copysign(math.inf, beyond))
    below = float(special.stdtr(spread.freedom(share), beyond / error))
    return Finding(below, 1.0 - below, beyond / error)


def drops(found: Evidence, alpha: float = ALPHA) -> tuple[float, float] | None:
    """The drop is between these, in the metric's unit; each end is wrong with probability alpha at most."""
    if found.alone and found.table is not None:
        return interval(found.table, alpha)
    spread = found.spread()
    if spread is None:
        return None
    reach = float(special.stdtrit(spread.freedom(1.0), 1 - alpha)) * spread.error(1.0)
    low, high = found.drop - reach, found.drop + reach
    if found.table is None:
        return low, high
    exact = interval(effective(found.table, spread, found.clusters), alpha)
    return min(low, exact[0]), max(high, exact[1])


def effective(table: Paired, spread: Spread, clusters: int) -> Paired:
    """Counts of answers that are not independent, made as few as they are worth: one question that S models answered
    is not S questions, and ten questions on one text are not ten.

    The variance of the drop over that of counts of independent questions tells how many they are worth (Korn and
    Graubard 1998, "Confidence intervals for proportions with small expected number of positive counts estimated from
    survey data"). Where nothing differs at all, a cluster is worth one. Counts need not be whole then.
    """
    independent = (table.lost + table.gained - table.n * table.drop**2) / table.n**2
    if independent <= 0:
        worth = float(clusters)
    else:
        worth = min(table.n, table.n * independent / max(spread.variance(1.0), 1e-300))
    n = max(1, math.floor(worth))
    return replace(table, n=n, lost=table.lost * n / table.n, gained=table.gained * n / table.n)


def needed(found: Evidence, margin: Margin, finding: Finding, alpha: float = ALPHA) -> tuple[int | None, int | None]:
    """Examples, or seeds, with which a verdict would probably come, if the models differed there as they do here.

    None where no number of them would do, where the drop is the margin, or where too little is known to say.
    """
    wanted = float(special.ndtri(1 - alpha) + special.ndtri(POWER))
    if abs(finding.distance) < 1e-9:
        return None, None
    if math.isinf(finding.distance):  # nothing varies: a group counts as one draw
        return math.ceil(found.examples / (alpha * max(1, found.clusters))), None
    if len(found.compared) < 2:  # a standard error falls as the root of the examples
        n = found.examples or found.n
        return max(n + 1, math.ceil(n * (wanted / finding.distance) ** 2)), None
    spread, share = found.spread(), margin.share(found.dense, found.sign)
    beyond, seeds = abs(found.drop - margin.of(found.dense)), len(found.compared)
    if spread is None or spread.variance(share) == 0.0:
        return max(found.examples + 1, math.ceil(found.examples * (wanted / finding.distance) ** 2)), None
    examples = spread.examples_for(found.examples, share, beyond / wanted) if seeds >= _KNOWN else None
    return examples, seeds_for(spread, seeds, share, beyond, alpha)


def seeds_for(spread: Spread, seeds: int, share: float, beyond: float, alpha: float = ALPHA) -> int | None:
    """The smallest number of seeds with which Student's t test decides with probability `POWER`.

    seeds: those of the spread. beyond: how far the drop is off the margin.
    """
    freedom = spread.freedom(share) / max(1, seeds - 1)
    for more in range(seeds + 1, _MOST_SEEDS):
        error, degrees = spread.error_with(seeds, more, share), freedom * (more - 1)
        critical = float(special.stdtrit(degrees, 1 - alpha))
        if 1 - float(special.nctdtr(degrees, beyond / error, critical)) >= POWER:
            return more
    return None
