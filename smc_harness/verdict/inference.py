"""What evidence says of the drop: two p-values, an interval, and what would decide where they do not."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from scipy import special

from smc_harness.verdict.evidence import Evidence
from smc_harness.verdict.margin import Margin
from smc_harness.verdict.paired import Paired, interval, p_at_least, p_at_most, score
from smc_harness.verdict.spread import Spread

POWER = 0.8
"""How likely a decision is to come with the examples or seeds that are named as needed."""
ALPHA = 0.05


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
    """Whether the drop is within a margin of the dense score; None where there is nothing to tell it by."""
    table, spread = _statistics(found)
    if table is not None:
        drop = margin.of(found.dense)
        distance = float(score(table.lost, table.gained, table.n, drop))
        return Finding(p_at_least(table, drop), p_at_most(table, drop), distance)
    if spread is None:
        return None
    share, beyond = margin.share(found.dense, found.sign), found.drop - margin.of(found.dense)
    error = spread.error(share)
    if error == 0.0:
        return Finding(float(beyond > 0), float(beyond <= 0), math.copysign(math.inf, beyond))
    below = float(special.stdtr(spread.freedom(share), beyond / error))
    return Finding(below, 1.0 - below, beyond / error)


def drops(found: Evidence, alpha: float = ALPHA) -> tuple[float, float] | None:
    """The drop is between these, in the metric's unit; each end is wrong with probability alpha at most."""
    table, spread = _statistics(found)
    if table is not None:
        return interval(table, alpha)
    if spread is None:
        return None
    reach = float(special.stdtrit(spread.freedom(1.0), 1 - alpha)) * spread.error(1.0)
    return found.drop - reach, found.drop + reach


def needed(found: Evidence, margin: Margin, finding: Finding, alpha: float = ALPHA) -> tuple[int | None, int | None]:
    """Examples, or seeds, with which a verdict would probably come, if the models differed there as they do here.

    None where no number of them would do: the drop is the margin, or the other of the two is what is scarce.
    """
    wanted = float(special.ndtri(1 - alpha) + special.ndtri(POWER))
    if abs(finding.distance) < 1e-9:
        return None, None
    spread = found.spread()
    if len(found.compared) < 2 or spread is None:  # a standard error falls as the root of the examples
        return math.ceil((found.examples or found.n) * (wanted / finding.distance) ** 2), None
    share = margin.share(found.dense, found.sign)
    error = abs(found.drop - margin.of(found.dense)) / wanted
    return spread.examples_for(found.examples, share, error), spread.seeds_for(len(found.compared), share, error)


def _statistics(found: Evidence) -> tuple[Paired | None, Spread | None]:
    """Counts where every example is right or wrong, else variances."""
    table = found.table
    if table is not None and len(found.compared) == 1:
        return table, None
    spread = found.spread()
    if table is None or spread is None:
        return None, spread
    return effective(table, spread, found.examples), None


def effective(table: Paired, spread: Spread, examples: int) -> Paired:
    """The counts of several seeds, made as few as they are worth: one question answered by S models is not S questions.

    The variance of the drop over that of counts of independent questions tells how many they are worth, and Student's
    t for its degrees of freedom how well that is known (Korn and Graubard 1998, "Confidence intervals for proportions
    with small expected number of positive counts estimated from survey data"). Counts need not be whole then.
    """
    independent = (table.lost + table.gained - table.n * table.drop**2) / table.n**2
    if independent <= 0:
        worth = float(examples)
    else:
        worth = min(table.n, table.n * independent / max(spread.variance(1.0), 1e-300))
        freedom = spread.freedom(1.0)
        worth *= float(special.ndtri(1 - ALPHA) / special.stdtrit(freedom, 1 - ALPHA)) ** 2
    n = max(1, math.floor(worth))
    return replace(table, n=n, lost=table.lost * n / table.n, gained=table.gained * n / table.n)
