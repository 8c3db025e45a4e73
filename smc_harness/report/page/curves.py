"""The curves of a page: scores over levels, how sure they are, the tolerance band, and what was published."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, median
from typing import Any

from smc_harness.cells import CellResult, visible
from smc_harness.report.published import Curves, Point
from smc_harness.report.saved import SavedRun
from smc_harness.report.tables import by_phase
from smc_harness.verdict.margin import margin_of

_Z = NormalDist().inv_cdf(0.95)
HOW = {
    "paired": "around a score: dense less the drop that the same examples allow; each end is wrong in one case of 20",
    "wilson": "around an accuracy: what as many other examples could have given (Wilson); each end is wrong in one "
    "case of 20; the drop from dense is known better, since both models answer the same examples",
    "range": "around the median of the seeds that were measured at a level: the lowest and the highest of them",
}
"""What an interval is, in words."""


@dataclass(frozen=True)
class Estimate:
    """The score of one pruner at one level, over its seeds, in the task's unit.

    how: a key of HOW; None where there is no interval.
    """

    value: float
    low: float | None = None
    high: float | None = None
    how: str | None = None


def wilson(share: float, n: int) -> tuple[float, float]:
    """The interval of a binomial share of n draws (Wilson 1927); each end is wrong in one case of twenty."""
    spread = _Z * math.sqrt(share * (1 - share) / n + (_Z / (2 * n)) ** 2)
    middle, scale = share + _Z**2 / (2 * n), 1 + _Z**2 / n
    return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)


def estimate(results: Sequence[CellResult], unit: str, higher_is_better: bool) -> Estimate:
    """Of the measured cells of one pruner at one level, one a seed."""
    first = next((result for result in results if result.judgement is not None), results[0])
    values = [result.value for result in results if result.value is not None]
    denses = [result.dense for result in results if result.dense is not None]
    pooled, found = first.pooled, first.judgement
    if found is not None and found.low is not None and found.high is not None and denses:
        value, dense = (pooled.value, pooled.dense) if pooled else (fmean(values), fmean(denses))
        ends = (dense - found.high, dense - found.low) if higher_is_better else (dense + found.low, dense + found.high)
        return Estimate(value, *ends, "paired")
    n = pooled.n if pooled else first.measurement.n if first.measurement else 0
    if pooled is None and len(values) > 1:
        return Estimate(median(values), min(values), max(values), "range")
    value = pooled.value if pooled else values[0]
    if unit == "fraction" and first.metric == "accuracy" and n and 0 <= value <= 1:
        return Estimate(value, *wilson(value, n), "wilson")
    return Estimate(value)


def of_task(run: SavedRun, task: str, published: Curves | None, pruners: Sequence[str]) -> dict[str, Any]:
    """What the chart of a task draws. pruners: of the page, by whose numbers curves are known."""
    about = run.tasks[task]
    unit, higher = str(about.get("unit") or ""), about.get("higher_is_better") is not False
    results = [result for result in run.results if result.cell.task == task and result.value is not None]
    metric = next((result.metric for result in results), str(about.get("metric") or "score"))
    curves = [
        {"pruner": pruners.index(pruner)} | _curve([r for r in results if r.cell.pruner == pruner], unit, higher)
        for pruner in by_phase(results)
    ]
    return {
        "name": visible(task),
        "metric": visible(metric),
        "unit": visible(unit),
        "curves": curves,
        **_dense(run, task, higher),
        "published": None if published is None else _published(published, pruners),
    }


def _curve(results: Sequence[CellResult], unit: str, higher_is_better: bool) -> dict[str, Any]:
    """points: [level, value, low, high, how, verdicts, seeds]. seeds: of several, the [level, value]s of each."""
    levels: dict[float, list[CellResult]] = {}
    seeds: dict[int, list[tuple[float, float | None]]] = {}
    for result in sorted(results, key=lambda result: (result.cell.level, result.cell.seed)):
        levels.setdefault(result.cell.level, []).append(result)
        seeds.setdefault(result.cell.seed, []).append((result.cell.level, result.value))
    points = []
    for level, found in levels.items():
        of = estimate(found, unit, higher_is_better)
        verdicts = ", ".join(dict.fromkeys(result.verdict.value for result in found))
        points.append((level, of.value, of.low, of.high, of.how, verdicts, len(found)))
    return {"points": points, "seeds": [{"seed": s, "points": p} for s, p in seeds.items()] if len(seeds) > 1 else []}


def _dense(run: SavedRun, task: str, higher_is_better: bool) -> dict[str, Any]:
    """dense: its score, over seeds the mean. passes: the worst score that is within the tolerance of it."""
    found = [d.measurement.value for (name, _), d in run.denses.items() if name == task and d.measurement is not None]
    if not found:
        return {"dense": None, "passes": None, "tolerance": ""}
    dense, margin = fmean(found), margin_of(task, (), run.tolerance(task))
    passes = dense - margin.of(dense) if higher_is_better else dense + margin.of(dense)
    return {"dense": dense, "passes": passes, "tolerance": margin.show(str(run.tasks[task].get("unit") or ""))}


def _published(curves: Curves, pruners: Sequence[str]) -> dict[str, Any]:
    """points: [level, value, provenance], of the pruners of the page."""
    found = [
        {"pruner": pruners.index(name), "points": [(level, p.value, _provenance(p)) for level, p in points.items()]}
        for name, points in curves.points.items()
        if name in pruners
    ]
    return {"dense": curves.dense.value, "curves": found}


def _provenance(point: Point) -> str:
    parts = [point.source, "uncertain" * point.uncertain, point.note]
    return visible("; ".join(part for part in parts if part))


def kinds(tasks: Sequence[Mapping[str, Any]]) -> list[str]:
    """The kinds of intervals that are drawn, in words."""
    drawn = {point[4] for task in tasks for curve in task["curves"] for point in curve["points"]}
    return [words for how, words in HOW.items() if how in drawn]
