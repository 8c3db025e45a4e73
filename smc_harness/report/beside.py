"""A run beside what was published: the same pruners at the same levels, judged by one rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass, replace
from typing import Any

from smc_harness.cells import CellResult, Verdict
from smc_harness.discovery.loading import Plugin
from smc_harness.documents.writing import plain
from smc_harness.report.published import Curves, Point, notes, published
from smc_harness.report.saved import SavedRun
from smc_harness.report.tables import by_phase
from smc_harness.verdict.first_fail import FirstFail, first_fails
from smc_harness.verdict.rule import Tolerance

_JUDGED = (Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE)
_USUAL = {"scope": "paper", "limit": None}
"""Options that say what is measured, and their defaults."""


@dataclass(frozen=True)
class Line:
    """One trajectory of ours. values: by level; found: its first-fail under the rule; both in the task's unit."""

    pruner: str
    dense: float | None
    values: Mapping[float, float]
    found: FirstFail


@dataclass(frozen=True)
class Panel:
    """One task. judged: first-fails of the published curves. differs: in what the run is not what was published."""

    task: str
    metric: str
    unit: str
    rule: Tolerance
    higher_is_better: bool
    lines: Sequence[Line]
    curves: Curves
    judged: Mapping[str, FirstFail]
    differs: Sequence[str]

    @property
    def pruners(self) -> list[str]:
        return list(dict.fromkeys(line.pruner for line in self.lines))

    @property
    def levels(self) -> list[float]:
        """Those at which either has a value, of the pruners of the run."""
        ours = {level for line in self.lines for level in line.values}
        return sorted(ours.union(*(self.points(pruner) for pruner in self.pruners)))

    @property
    def shown(self) -> list[Point]:
        """The published points of the run's pruners."""
        return [point for pruner in self.pruners for point in self.points(pruner).values()]

    @property
    def caveat(self) -> str:
        if self.differs:
            what = ", ".join(self.differs)
            return f"other than published: {what}; so compare the order of the pruners, not their values"
        return "parameters as published; code and draws are ours and the data may be others, so values need not agree"

    @property
    def notes(self) -> list[str]:
        """What is odd about the published values that are shown."""
        return notes(self.curves, self.pruners)

    def points(self, pruner: str) -> Mapping[float, Point]:
        return self.curves.points.get(pruner, {})

    def fails(self, value: float, dense: float | None) -> bool:
        return dense is not None and self.rule.judge(value, dense, self.higher_is_better) is Verdict.FAIL

    def is_uncertain(self, pruner: str) -> bool:
        """Whether an end of the published first-fail is an uncertain point."""
        ends = (self.judged[pruner].last_pass, self.judged[pruner].first_fail)
        return any(point.uncertain for level, point in self.points(pruner).items() if level in ends)

    def to_json(self) -> dict[str, Any]:
        """The object of a task in the joined data."""
        return {
            "metric": self.metric,
            "unit": self.unit,
            "tolerance": str(self.rule.margin),
            "published_dense": _plain(self.curves.dense),
            "differs": list(self.differs),
            "caveat": self.caveat,
            "notes": self.notes,
            "curves": [self._curve(line) for line in self.lines],
        }

    def _curve(self, line: Line) -> dict[str, Any]:
        points = self.points(line.pruner)
        return {
            "pruner": line.pruner,
            "seeds": list(line.found.seeds),
            "dense": line.dense,
            "first_fail": _ends(line.found),
            "published_first_fail": _ends(self.judged.get(line.pruner)),
            "levels": [
                {"level": level, "value": line.values.get(level), "published": _plain(points.get(level))}
                for level in sorted({*line.values, *points})
            ],
        }


def _plain(point: Point | None) -> dict[str, Any] | None:
    return None if point is None else asdict(point)


def _ends(found: FirstFail | None) -> dict[str, Any] | None:
    wanted = ("last_pass", "first_fail", "monotone")
    return None if found is None else {name: getattr(found, name) for name in wanted}


def panel(run: SavedRun, task: Plugin, rule: Tolerance) -> Panel | None:
    """None for a task of which nothing was published. Raises PluginError."""
    curves = published(task)
    about = run.tasks[task.name]
    results = [result for result in run.results if result.cell.task == task.name]
    if curves is None or not results:
        return None
    higher = about.get("higher_is_better") is not False
    lines = _lines([_rejudged(result, rule, higher) for result in results])
    return Panel(
        task.name,
        results[0].metric,
        str(about.get("unit") or ""),
        rule,
        higher,
        lines,
        curves,
        curves.judged(rule, higher),
        _differences(run, task, about.get("params", {})),
    )


def _pair(result: CellResult) -> tuple[float | None, float | None]:
    """What is judged: the score and its dense model's, of all folds together where there are some."""
    return (result.pooled.value, result.pooled.dense) if result.pooled else (result.value, result.dense)


def _rejudged(result: CellResult, rule: Tolerance, higher_is_better: bool) -> CellResult:
    value, dense = _pair(result)
    if value is None or dense is None or result.verdict not in _JUDGED:
        return result
    return replace(result, verdict=rule.judge(value, dense, higher_is_better))


def _lines(results: Sequence[CellResult]) -> list[Line]:
    groups: dict[tuple[str, str, tuple[int, ...]], list[CellResult]] = {}
    for result in results:
        groups.setdefault(result.cell.trajectory, []).append(result)
    found = {(item.pruner, item.seeds): item for item in first_fails(results)}
    order = list(by_phase(results))
    lines = []
    for (_, pruner, seeds), group in sorted(groups.items(), key=lambda item: order.index(item[0][1])):
        pairs = {result.cell.level: _pair(result) for result in group if _pair(result)[0] is not None}
        values = {level: value for level, (value, _) in sorted(pairs.items()) if value is not None}
        dense = next((dense for _, dense in pairs.values()), None)
        lines.append(Line(pruner, dense, values, found[pruner, seeds]))
    return lines


def _differences(run: SavedRun, task: Plugin, given: Mapping[str, Any]) -> list[str]:
    """`recipe=laptop (published: paper)`, for every parameter and option that is another."""
    params = task.declared("published_params", task.params)
    usual: Mapping[str, Any] = plain(asdict(params) if is_dataclass(params) and not isinstance(params, type) else {})
    differs = [
        f"{name}={given.get(name, 'unknown')}" + (f" (published: {usual[name]})" if name in usual else "")
        for name in dict.fromkeys([*given, *usual])
        if name not in usual or name not in given or usual[name] != given[name]
    ]
    for name, value in _USUAL.items():
        if (chosen := run.option(name)) not in (None, value):
            differs.append(f"{name}={chosen}" + (f" (published: {value})" if value else ""))
    seeds = {seed for name, seed in run.denses if name == task.name}
    if len(seeds) < task.folds:
        differs.append(f"{len(seeds)} of {task.folds} folds")
    return differs
