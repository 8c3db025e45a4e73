"""Two models that answered the same questions: whether one is worse by more than a margin.

Of n questions, the dense model alone was right on `lost`, the sparse one alone on `gained`; the drop in accuracy is the
chance of the one less the chance of the other. The statistic is the score test for a given drop of Tango (1998,
"Equivalence test and confidence interval for the difference in proportions for the paired-sample design", eq. 4 to 6),
which for a drop of zero is McNemar's. Its distribution is not approximated: what the statistic may be is enumerated,
for the worst chances that the data do not rule out (Berger and Boos 1994), so that few questions, or few on which the
models differ, make the answer careful and not wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy
from numpy.typing import NDArray
from scipy import special

RULED_OUT = 1e-4
"""Probability that the chances lie outside of what is searched; it is added to every p-value."""
SEARCHED = 61
"""Values of the unknown chance of a gain that are tried."""
_FAR = 7.0
"""Standard deviations from the mean beyond which nothing is counted."""
_NOTHING = 1e-14
"""A probability that need not be split further."""
_CLOSE = 1e-5
"""How closely the ends of an interval are found."""

Floats = NDArray[numpy.float64]


@dataclass(frozen=True)
class Paired:
    """n: questions. lost: those that only the dense model got right. gained: those that only the sparse one did.

    The two are whole numbers, unless they stand for the answers of several models.
    """

    n: int
    lost: float
    gained: float

    def __post_init__(self) -> None:
        if self.n < 1 or min(self.lost, self.gained) < 0 or self.lost + self.gained > self.n:
            raise ValueError(f"{self}: expected counts of at most n questions, and n of 1 or more")

    @property
    def drop(self) -> float:
        """Of the accuracy, from dense to sparse."""
        return (self.lost - self.gained) / self.n

    @property
    def turned(self) -> Paired:
        """The same with the models in each other's place."""
        return Paired(self.n, self.gained, self.lost)


def score(lost: Any, gained: Any, n: int, drop: float) -> Any:
    """Tango's z: how far the observed drop is above the given one, in standard errors as they would be under it.

    lost, gained: numbers or arrays. Zero where nothing was observed and nothing is expected.
    """
    lost, gained = numpy.asarray(lost, float), numpy.asarray(gained, float)
    if drop < 0:
        return -score(gained, lost, n, -drop)
    # the likeliest chance of a gain, where that of a loss is higher by `drop`
    linear = (2 * n - lost + gained) * drop - lost - gained
    root = numpy.sqrt(linear**2 + 8 * n * gained * drop * (1 - drop))
    gain = (root - linear) / (4 * n)
    variance = n * (2 * gain + drop * (1 - drop))
    distance = lost - gained - n * drop
    return numpy.where(variance > 0, distance / numpy.sqrt(numpy.where(variance > 0, variance, 1.0)), 0.0)


def p_at_least(found: Paired, margin: float) -> float:
    """Of the hypothesis that the drop is `margin` or more: a small one means that the sparse model is good enough."""
    if margin >= 1.0:
        return RULED_OUT
    if margin <= -1.0:
        return 1.0
    return _worst_tail(found, margin)


def p_at_most(found: Paired, margin: float) -> float:
    """Of the hypothesis that the drop is `margin` or less: a small one means that the sparse model is too bad."""
    return p_at_least(found.turned, -margin)


@lru_cache(maxsize=4096)
def interval(found: Paired, alpha: float = 0.05) -> tuple[float, float]:
    """The drops that neither test refuses at `alpha`; each end is wrong with that probability at most."""
    return -_end(found.turned, alpha), _end(found, alpha)


def _end(found: Paired, alpha: float) -> float:
    """The smallest margin that the drop is below, at `alpha`."""
    from scipy import optimize

    def excess(margin: float) -> float:
        return p_at_least(found, margin) - alpha

    low, high = found.drop, float(numpy.nextafter(1.0, 0.0))
    if excess(high) > 0:
        return 1.0
    # where the normal approximation has it, give or take: every step is an enumeration
    quantile = float(special.ndtri(alpha))
    near = optimize.brentq(lambda margin: float(score(found.lost, found.gained, found.n, margin)) - quantile, low, high)
    reach = (near - low) / 4 + _CLOSE
    while near + reach < high and excess(near + reach) > 0:
        low, reach = near + reach, 2 * reach
    high = min(high, near + reach)
    if near - reach > low and excess(near - reach) > 0:
        low = near - reach
    return float(optimize.brentq(excess, low, high, xtol=_CLOSE))


def _worst_tail(found: Paired, margin: float) -> float:
    """The largest probability of a statistic as low as the one found, if the drop is `margin`."""
    n = found.n
    least = float(score(found.lost, found.gained, n, margin))
    low, high = _chances(found.gained, n)
    # chances of a gain and of a loss, which is higher by the margin; both are chances, and exclude each other
    low, high = max(low, -margin, 0.0), min(high, (1.0 - margin) / 2)
    if low > high:  # no chances that the data allow make such a drop: it is higher or lower than the margin
        return RULED_OUT if least < 0 else 1.0
    gains = numpy.linspace(low, high, SEARCHED)
    differs = numpy.clip(2 * gains + margin, 0.0, 1.0)
    spread = _FAR * numpy.sqrt(n * differs * (1 - differs)) + _FAR
    first, last = (numpy.clip(n * differs + side * spread, 0, n).astype(int) for side in (-1, 1))
    counts = numpy.arange(first.min(), last.max() + 1)
    most = _most_lost(counts, n, margin, least)
    shares = numpy.divide(gains + margin, differs, out=numpy.zeros(SEARCHED), where=differs > 0)
    tails = _binomial(counts, n, differs)
    row, column = numpy.nonzero(tails > _NOTHING)
    tails[row, column] *= _at_most(most[column], counts[column], numpy.clip(shares, 0.0, 1.0)[row])
    return min(1.0, float(tails.sum(axis=1).max()) + RULED_OUT)


def _binomial(counts: NDArray[numpy.int64], n: int, chances: Floats) -> Floats:
    """Probabilities of each count of n, by chance (rows) and count (columns)."""
    ways = special.gammaln(n + 1) - special.gammaln(counts + 1) - special.gammaln(n - counts + 1)
    rows = chances[:, None]
    logarithms: Floats = ways + special.xlogy(counts, rows) + special.xlog1py(n - counts, -rows)
    return numpy.exp(logarithms)


def _at_most(most: NDArray[numpy.int64], counts: NDArray[numpy.int64], chances: Floats) -> Floats:
    """Probabilities of no more than `most` of `counts`, one by one; none for -1, all where most is the count."""
    inside = numpy.clip(most, 0, numpy.maximum(counts - 1, 0))
    below: Floats = special.betainc(numpy.maximum(counts - inside, 1), inside + 1, 1 - chances)
    return numpy.where(most < 0, 0.0, numpy.where(most >= counts, 1.0, below))


def _most_lost(counts: NDArray[numpy.int64], n: int, margin: float, least: float) -> NDArray[numpy.int64]:
    """For each number of differing questions, the most losses whose statistic is `least` or lower; -1 for none.

    The statistic rises with the losses, so the number is found by halving.
    """
    slack = 1e-9 * (1.0 + abs(least))
    low, high = numpy.full_like(counts, -1), counts.copy()
    while (low < high).any():
        middle = numpy.maximum((low + high + 1) // 2, 0)  # also where there is none and the search is over
        fits = score(middle, counts - middle, n, margin) <= least + slack
        open_ = low < high
        low, high = numpy.where(open_ & fits, middle, low), numpy.where(open_ & ~fits, middle - 1, high)
    return low


def _chances(successes: float, n: int) -> tuple[float, float]:
    """All but `RULED_OUT` of Clopper and Pearson's interval."""
    tail = RULED_OUT / 2
    low = special.betaincinv(successes, n - successes + 1, tail) if successes > 0 else 0.0
    high = special.betaincinv(successes + 1, n - successes, 1 - tail) if successes < n else 1.0
    return float(low), float(high)
