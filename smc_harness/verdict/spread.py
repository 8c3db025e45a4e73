"""How far chance could have moved the scores of two models that were measured on the same examples.

Chance draws examples, and it draws seeds. Over several seeds the outcomes stand in a table of examples x seeds, and the
variance of their mean is put together from two ways of clustering it, by examples and by seeds (Cameron, Gelbach and
Miller 2011, "Robust inference with multiway clustering", eq. 2.13). What is in both of them is not taken off once, as
it is there: two to five seeds may come out alike by luck, and the difference would then say that they are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy
from numpy.typing import NDArray

Floats = NDArray[numpy.float64]


@dataclass(frozen=True)
class Part:
    """Variances of the two scores and their covariance, as estimated from independent clusters."""

    clusters: int
    value: float
    dense: float
    covariance: float

    @classmethod
    def of(cls, clusters: Floats) -> Part:
        """From what each cluster adds to the two scores [2, clusters], less a typical one; they add up to 0."""
        number = clusters.shape[1]
        (value, covariance), (_, dense) = clusters @ clusters.T * (number / max(number - 1, 1))
        return cls(number, float(value), float(dense), float(covariance))

    def variance(self, share: float) -> float:
        """Of share x dense - value."""
        return max(0.0, share**2 * self.dense + self.value - 2 * share * self.covariance)


@dataclass(frozen=True)
class Spread:
    """examples: by groups of examples. seeds, both: by seeds, and by groups within seeds, where seeds share examples.

    Where they share none, what varies by seed holds what varies by example, and stands in `examples`.
    """

    examples: Part
    seeds: Part | None = None
    both: Part | None = None

    def variance(self, share: float) -> float:
        """Of share x dense - value."""
        return sum(part.variance(share) for part in self._parts)

    def error(self, share: float) -> float:
        """The standard error of share x dense - value."""
        return math.sqrt(self.variance(share))

    def freedom(self, share: float) -> float:
        """Degrees of freedom of the variance (Satterthwaite 1946): those of its parts, weighted by what they add."""
        parts = [(part.variance(share), part.clusters - 1) for part in self._parts]
        below = sum(variance**2 / freedom for variance, freedom in parts if freedom > 0)
        return max(1.0, self.variance(share) ** 2 / below) if below > 0 else 1.0

    def examples_for(self, n: int, share: float, error: float) -> int | None:
        """Examples with which the standard error would be `error`, where there are n now; None if no number would do.

        What seeds add to that of their examples stays.
        """
        stays = 0.0
        if self.seeds is not None and self.both is not None:
            stays = max(0.0, self.seeds.variance(share) - self.both.variance(share))
        falls, left = self.variance(share) - stays, error**2 - stays
        return max(n + 1, math.ceil(n * falls / left * (1 - 1e-12))) if left > 0 else None

    def error_with(self, seeds: int, more: int, share: float) -> float:
        """The standard error with `more` seeds in place of `seeds`. What the examples that all of them see are in
        themselves stays.
        """
        stays = 0.0
        if self.both is not None:
            alike = self.examples.variance(share) - self.both.variance(share)
            stays = min(self.variance(share), max(0.0, alike * seeds / (seeds - 1)))
        return math.sqrt(stays + (self.variance(share) - stays) * seeds / more)

    @property
    def _parts(self) -> tuple[Part, ...]:
        return (self.examples,) if self.seeds is None else (self.examples, self.seeds)


def clustered(tables: Sequence[Floats], rows: Sequence[NDArray[numpy.int64]], n: int) -> Spread:
    """Of means over all examples of all seeds.

    tables: of each seed, what its clusters add [2, clusters]: sums over their examples of what lies above the mean.
    rows: of each seed, the number of each of its clusters, the same for the same examples. n: examples in all.
    """
    joint = numpy.zeros((2, 1 + max(int(numbers.max()) for numbers in rows)))
    for table, numbers in zip(tables, rows, strict=True):
        joint[:, numbers] += table / n
    if len(tables) == 1:
        return Spread(Part.of(joint))
    seeds = Part.of(numpy.stack([table.sum(axis=1) / n for table in tables], axis=1))
    if joint.shape[1] == sum(table.shape[1] for table in tables):
        return Spread(seeds)
    return Spread(Part.of(joint), seeds, Part.of(numpy.concatenate(tables, axis=1) / n))


def resampled(
    samples: Sequence[Floats], scores: Sequence[Floats], shares: Sequence[float], clusters: int, alike: bool
) -> Spread:
    """Of means over seeds of a metric that is no mean over examples.

    samples: of each seed, both scores of each resample [2, resamples], drawn alike for seeds that see the same
    examples. scores: of each seed, both scores [2]. shares: of each seed, in the mean; they add up to 1. alike: whether
    any two seeds see the same examples.
    """
    parts = [share * table for share, table in zip(shares, samples, strict=True)]
    joint = _of_resamples([numpy.sum(parts, axis=0)], clusters)
    if len(samples) == 1:
        return Spread(joint)
    mean = numpy.average(scores, axis=0, weights=shares)
    seeds = Part.of(numpy.stack([share * (score - mean) for share, score in zip(shares, scores, strict=True)], axis=1))
    return Spread(joint, seeds, _of_resamples(parts, clusters)) if alike else Spread(seeds)


def _of_resamples(parts: Sequence[Floats], clusters: int) -> Part:
    """Variances of the sum of independent parts [2, resamples]."""
    (value, covariance), (_, dense) = numpy.sum([numpy.cov(part) for part in parts], axis=0)
    return Part(clusters, float(value), float(dense), float(covariance))
