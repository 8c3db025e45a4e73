"""How far chance could have moved a score away from the baseline's: from outcomes that both kept, else from errors."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from smc_harness.baseline.compare import Pairs
from smc_harness.baseline.entries import Point, Precision
from smc_harness.discovery.loading import Plugin
from smc_harness.execution.evidence import aggregate_of, answers_of
from smc_harness.store.artifacts import Artifacts
from smc_harness.verdict.evidence import Aggregate, Answers, Evidence, compare, together
from smc_harness.verdict.spread import Part, Spread

_SAME = 1e-6
"""Relative difference between a score and what its outcomes give, up to which these are its outcomes."""


class Outcomes:
    """What is kept of the examples. plugin: the task of a name, None where it is not installed."""

    def __init__(self, artifacts: Artifacts, plugin: Callable[[str], Plugin | None]) -> None:
        self._artifacts = artifacts
        self._plugin = plugin

    def evidence(self, task: str, pairs: Pairs, higher_is_better: bool, same_examples: bool) -> tuple[Evidence, bool]:
        """On the cells of one level, each with that of the baseline, which takes the place of the dense model.

        pairs: one a seed. same_examples: whether equal ids name equal examples. Returns as well whether the
        evidence is from the same examples; it says nothing of chance where nothing is known of it.
        """
        if same_examples:
            found = together([self._paired(task, own, base, higher_is_better) for own, base in pairs])
            if found.compared:
                return found, True
        return self._apart(task, pairs, higher_is_better), False

    def precision(self, task: str, point: Point) -> Precision | None:
        """Of a score; None where neither it nor the outcomes were kept."""
        if point.precision is not None:
            return point.precision
        found = self._of(task, point)
        return None if found is None else precision(*found)

    def _paired(self, task: str, own: Point, base: Point, higher_is_better: bool) -> Evidence:
        plain = Evidence(own.value, base.value, own.n, higher_is_better)
        answers = [self._of(task, point) for point in (own, base)]
        if answers[0] is None or answers[1] is None:
            return plain
        (first, aggregate), (other, _) = answers[0], answers[1]
        plugin = self._plugin(task)
        found = compare(first, other, aggregate, own.seed % plugin.folds if plugin is not None else 0)
        return replace(plain, compared=() if found is None else (found,))

    def _apart(self, task: str, pairs: Pairs, higher_is_better: bool) -> Evidence:
        """The two runs as if they had nothing in common, which they may have: then this is careful, not wrong."""
        (value, own), (dense, base) = (self._mean(task, [pair[side] for pair in pairs]) for side in (0, 1))
        spread = None
        if own is not None and base is not None:
            spread = Spread(Part(min(own.clusters, base.clusters), own.error**2, base.error**2, covariance=0.0))
        return Evidence(value, dense, sum(point.n for point, _ in pairs), higher_is_better, apart=spread)

    def _mean(self, task: str, points: Sequence[Point]) -> tuple[float, Precision | None]:
        """Over the seeds. Whether these share their examples is not known, so their errors add up as if they did."""
        n = sum(point.n for point in points)
        value = sum(point.value * point.n for point in points) / n
        known = [found for point in points if (found := self.precision(task, point)) is not None]
        if len(known) < len(points):
            return value, None
        error = sum(found.error * point.n for found, point in zip(known, points, strict=True)) / n
        return value, Precision(error, min(found.clusters for found in known))

    def _of(self, task: str, point: Point) -> tuple[Answers, Aggregate | None] | None:
        """The outcomes and the metric (None: the mean) that gave the score; None where those here give another."""
        found = answers_of(self._artifacts, point.outcomes)
        if found is None:
            return None
        plugin = self._plugin(task)
        aggregate = aggregate_of(plugin) if plugin is not None else None
        value = aggregate(found.values, found.groups) if aggregate is not None else float(found.values.mean())
        return (found, aggregate) if math.isclose(value, point.value, rel_tol=_SAME, abs_tol=_SAME) else None


def precision(found: Answers, aggregate: Aggregate | None) -> Precision | None:
    """Of a score, from its outcomes; None where these are of one group.

    A model that is always right is not taken for one that cannot err: one right and one wrong answer are added.
    """
    itself, n, value = compare(found, found, aggregate), len(found.ids), float(found.values.mean())
    evidence = Evidence(value, value, n, compared=() if itself is None else (itself,))
    if evidence.alone and evidence.table is not None:
        right = (float(found.values.sum()) + 1) / (n + 2)
        return Precision(_short(math.sqrt(right * (1 - right) / n)), n)
    spread = evidence.spread()
    return None if spread is None else Precision(_short(spread.error(0.0)), spread.examples.clusters)


def _short(error: float) -> float:
    """Four digits: errors are estimates, and the file is read by people."""
    return float(f"{error:.4g}")
