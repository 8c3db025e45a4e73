"""What a verdict is taken on: two scores, and how far chance alone could have moved them apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy
from numpy.typing import NDArray

from smc_harness.verdict.paired import Paired
from smc_harness.verdict.spread import Floats, Spread, clustered, resampled

RESAMPLES = 1000
"""Bootstrap samples of a metric that is no mean: their spread is known to about 2 %."""


@dataclass(frozen=True)
class Answers:
    """Outcomes of one model as they are kept: values [n, k], and the id and group of each example."""

    values: Floats
    ids: Sequence[str]
    groups: Sequence[str]


Aggregate = Callable[[Floats, Sequence[str]], float]
"""From values [n, k] and groups to the metric."""


@dataclass(frozen=True)
class Compared:
    """Two models of one seed on the same examples.

    groups: names of the independent groups of examples. sums, sizes: of each group, the outcomes of the sparse and of
    the dense model added up [2, groups], and the number of its examples. table: counts, where examples are right or
    wrong. samples: both scores of each resample [2, RESAMPLES], of a metric that is no mean. fold: which
    examples a seed sees; seeds of one fold see the same.
    """

    groups: tuple[str, ...]
    sums: Floats
    sizes: Floats
    table: Paired | None = None
    samples: Floats | None = None
    fold: int = 0


@dataclass(frozen=True)
class Evidence:
    """value, dense: the metric of the sparse model and of its dense one, or their means over seeds. n: examples scored.

    compared: of each seed; empty where the two were not measured on the same examples, or their outcomes are not there.
    scores: of each seed, value, dense and n. apart: their variances, where the two were measured apart from each other.
    """

    value: float
    dense: float
    n: int
    higher_is_better: bool = True
    compared: tuple[Compared, ...] = ()
    scores: tuple[tuple[float, float, int], ...] = ()
    apart: Spread | None = None

    @property
    def sign(self) -> float:
        return 1.0 if self.higher_is_better else -1.0

    @property
    def drop(self) -> float:
        """In the metric's unit; negative where the sparse model is the better one."""
        return self.sign * (self.dense - self.value)

    @property
    def table(self) -> Paired | None:
        """Questions of all seeds together that only one of the models got right, dense as the better one first."""
        tables = [item.table for item in self.compared if item.table is not None]
        if not tables or len(tables) < len(self.compared):
            return None
        found = Paired(*(sum(getattr(table, name) for table in tables) for name in ("n", "lost", "gained")))
        return found if self.higher_is_better else found.turned

    @property
    def examples(self) -> int:
        """Different examples: those that several seeds see count once."""
        return sum({item.fold: int(item.sizes.sum()) for item in self.compared}.values())

    @property
    def clusters(self) -> int:
        """Different groups of examples."""
        return sum({item.fold: len(item.groups) for item in self.compared}.values())

    @property
    def alone(self) -> bool:
        """Whether every answer is one of one seed to a question of its own."""
        return len(self.compared) == 1 and self.clusters == self.examples

    def spread(self) -> Spread | None:
        """None where there is nothing to estimate it from."""
        if self.clusters < 2:
            return self.apart
        if self.compared[0].samples is not None:
            return self._resampled()
        numbers: dict[tuple[int, str], int] = {}
        rows = [
            numpy.array([numbers.setdefault((item.fold, group), len(numbers)) for group in item.groups])
            for item in self.compared
        ]
        n = float(sum(item.sizes.sum() for item in self.compared))
        mean = sum(item.sums.sum(axis=1) for item in self.compared) / n
        return clustered([item.sums - mean[:, None] * item.sizes for item in self.compared], rows, int(n))

    def _resampled(self) -> Spread:
        scores = self.scores or ((self.value, self.dense, self.n),)
        total = sum(n for _, _, n in scores)
        return resampled(
            [item.samples for item in self.compared if item.samples is not None],
            [numpy.array([value, dense]) for value, dense, _ in scores],
            [n / total for _, _, n in scores],
            self.clusters,
            alike=len({item.fold for item in self.compared}) < len(self.compared),
        )


def compare(own: Answers, dense: Answers, aggregate: Aggregate | None = None, fold: int = 0) -> Compared | None:
    """What two models made of the same examples; None if they did not see the same, or if a score is not finite.

    aggregate: the metric; None: the mean. The order in which examples were scored changes nothing. A metric that is not
    defined on every resample (a recall without positives) says nothing here.
    """
    if sorted(own.ids) != sorted(dense.ids) or len(set(own.ids)) != len(own.ids):
        return None
    first, other = (_in_order(answers) for answers in (own, dense))
    names, number = list(first.ids), numpy.arange(len(first.ids))
    if first.groups != first.ids:
        distinct, number = numpy.unique(numpy.asarray(first.groups), return_inverse=True)
        names = distinct.tolist()
    sizes = numpy.bincount(number).astype(numpy.float64)
    sums = numpy.stack([numpy.bincount(number, a.values.mean(axis=1)) for a in (first, other)]).astype(numpy.float64)
    groups = tuple(map(str, names))
    if aggregate is not None:
        samples = _resample((first, other), number, len(names), aggregate, fold)
        return Compared(groups, sums, sizes, samples=samples, fold=fold) if numpy.isfinite(samples).all() else None
    if not numpy.isfinite(sums).all():
        return None
    table = None
    if _right_or_wrong(first.values) and _right_or_wrong(other.values):
        sparse, whole = first.values[:, 0] == 1, other.values[:, 0] == 1
        table = Paired(len(sparse), lost=int((whole & ~sparse).sum()), gained=int((sparse & ~whole).sum()))
    return Compared(groups, sums, sizes, table, fold=fold)


def _in_order(answers: Answers) -> Answers:
    order = sorted(range(len(answers.ids)), key=answers.ids.__getitem__)
    return Answers(answers.values[order], [answers.ids[i] for i in order], [answers.groups[i] for i in order])


def _right_or_wrong(values: Floats) -> bool:
    return values.shape[1] == 1 and bool(((values == 0.0) | (values == 1.0)).all())


def _resample(
    pair: Sequence[Answers], number: NDArray[numpy.int64], clusters: int, aggregate: Aggregate, fold: int
) -> Floats:
    """The metric of both models on the same resamples of clusters, which are drawn alike for one fold."""
    order = numpy.argsort(number, kind="stable")
    sizes = numpy.bincount(number, minlength=clusters)
    starts = numpy.cumsum(sizes) - sizes
    draws = numpy.random.default_rng(fold)
    groups = numpy.asarray(pair[0].groups, dtype=object)
    found = numpy.empty((2, RESAMPLES))
    for sample in range(RESAMPLES):
        drawn = draws.integers(clusters, size=clusters)
        taken = sizes[drawn]
        within = numpy.arange(taken.sum()) - numpy.repeat(numpy.cumsum(taken) - taken, taken)
        rows = order[numpy.repeat(starts[drawn], taken) + within]
        for place, answers in enumerate(pair):
            found[place, sample] = aggregate(answers.values[rows], groups[rows].tolist())
    return found


def together(parts: Sequence[Evidence]) -> Evidence:
    """Of several seeds: means over all their examples."""
    if len(parts) == 1:
        return parts[0]
    n = sum(part.n for part in parts)
    value, dense = (sum(getattr(part, name) * part.n for part in parts) / n for name in ("value", "dense"))
    compared = tuple(item for part in parts for item in part.compared) if all(part.compared for part in parts) else ()
    scores = tuple((part.value, part.dense, part.n) for part in parts)
    return Evidence(value, dense, n, parts[0].higher_is_better, compared, scores)
