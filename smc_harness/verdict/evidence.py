"""What a verdict is taken on: two scores, and how far chance alone could have moved them apart."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy
from numpy.typing import NDArray

from smc_harness.verdict.paired import Paired

RESAMPLES = 1000
"""Bootstrap samples of a metric that is no mean: their spread is known to about 2 %."""

Floats = NDArray[numpy.float64]


@dataclass(frozen=True)
class Spread:
    """Variances of the two scores and their covariance, as estimates. clusters: independent groups of examples."""

    clusters: int
    value: float
    dense: float
    covariance: float

    def error(self, share: float) -> float:
        """The standard error of share x dense - value."""
        return math.sqrt(max(0.0, share**2 * self.dense + self.value - 2 * share * self.covariance))


@dataclass(frozen=True)
class Evidence:
    """value, dense: the metric of the sparse model and of its dense one. n: examples.

    chance: what chance could do to them; counts where every example is right or wrong by itself; None where the two
    were not measured on the same examples, or their outcomes are not there.
    """

    value: float
    dense: float
    n: int
    higher_is_better: bool = True
    chance: Paired | Spread | None = None


@dataclass(frozen=True)
class Answers:
    """Outcomes of one model as they are kept: values [n, k], and the id and group of each example."""

    values: Floats
    ids: Sequence[str]
    groups: Sequence[str]


Aggregate = Callable[[Floats, Sequence[str]], float]
"""From values [n, k] and groups to the metric."""


def compare(own: Answers, dense: Answers, aggregate: Aggregate | None = None) -> Paired | Spread | None:
    """How chance could have moved two scores apart that were taken on the same examples; None if they were not.

    aggregate: the metric; None: the mean. The order in which examples were scored changes nothing.
    """
    if sorted(own.ids) != sorted(dense.ids) or len(set(own.ids)) != len(own.ids):
        return None
    first, other = (_in_order(answers) for answers in (own, dense))
    alone = len(set(first.groups)) == len(first.groups)
    if aggregate is None and alone and _right_or_wrong(first.values) and _right_or_wrong(other.values):
        sparse, whole = first.values[:, 0] == 1, other.values[:, 0] == 1
        return Paired(len(sparse), lost=int((whole & ~sparse).sum()), gained=int((sparse & ~whole).sum()))
    names, number = numpy.unique(numpy.asarray(first.groups), return_inverse=True)
    if len(names) < 2:
        return None
    if aggregate is None:
        parts = [_influence(answers.values.mean(axis=1), number, len(names)) for answers in (first, other)]
    else:
        parts = _resampled((first, other), number, len(names), aggregate)
    (value, covariance), (_, whole_variance) = numpy.cov(numpy.stack(parts)) * (len(names) if aggregate is None else 1)
    return Spread(len(names), float(value), float(whole_variance), float(covariance))


def _in_order(answers: Answers) -> Answers:
    order = sorted(range(len(answers.ids)), key=answers.ids.__getitem__)
    return Answers(answers.values[order], [answers.ids[i] for i in order], [answers.groups[i] for i in order])


def _right_or_wrong(values: Floats) -> bool:
    return values.shape[1] == 1 and bool(numpy.isin(values, (0.0, 1.0)).all())


def _influence(values: Floats, number: NDArray[numpy.int64], clusters: int) -> Floats:
    """What each cluster adds to the mean, less what a typical one adds: their variance is the mean's (linearised)."""
    return numpy.bincount(number, values - values.mean(), minlength=clusters) / len(values)


def _resampled(
    pair: Sequence[Answers], number: NDArray[numpy.int64], clusters: int, aggregate: Aggregate
) -> list[Floats]:
    """The metric of both models on the same resamples of clusters."""
    order = numpy.argsort(number, kind="stable")
    sizes = numpy.bincount(number, minlength=clusters)
    starts = numpy.cumsum(sizes) - sizes
    draws = numpy.random.default_rng(0)
    groups = numpy.asarray(pair[0].groups, dtype=object)
    found: list[Floats] = [numpy.empty(RESAMPLES) for _ in pair]
    for sample in range(RESAMPLES):
        drawn = draws.integers(clusters, size=clusters)
        taken = sizes[drawn]
        within = numpy.arange(taken.sum()) - numpy.repeat(numpy.cumsum(taken) - taken, taken)
        rows = order[numpy.repeat(starts[drawn], taken) + within]
        for answers, metric in zip(pair, found, strict=True):
            metric[sample] = aggregate(answers.values[rows], groups[rows].tolist())
    return found


def together(parts: Sequence[Evidence]) -> Evidence:
    """Of models that were scored on different examples, as the folds of one data set: means over all examples."""
    n = sum(part.n for part in parts)
    value, dense = (sum(getattr(part, name) * part.n for part in parts) / n for name in ("value", "dense"))
    chances: list[Any] = [part.chance for part in parts]
    if all(isinstance(chance, Paired) for chance in chances):
        counts = (sum(getattr(chance, name) for chance in chances) for name in ("n", "lost", "gained"))
        return Evidence(value, dense, n, parts[0].higher_is_better, Paired(*counts))
    if not all(isinstance(chance, Spread) for chance in chances):
        return Evidence(value, dense, n, parts[0].higher_is_better)
    shares = [(part.n / n) ** 2 for part in parts]
    spreads = [
        sum(share * getattr(chance, name) for share, chance in zip(shares, chances, strict=True))
        for name in ("value", "dense", "covariance")
    ]
    clusters = sum(chance.clusters for chance in chances)
    return Evidence(value, dense, n, parts[0].higher_is_better, Spread(clusters, *spreads))
