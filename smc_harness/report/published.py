"""What was published of a task: the curves in the CSV file that it declares beside its source."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from smc_harness.cells import Cell, CellResult
from smc_harness.discovery.loading import Plugin
from smc_harness.errors import PluginError
from smc_harness.verdict.first_fail import FirstFail, first_fails
from smc_harness.verdict.rule import Tolerance

DENSE = "dense"
"""What the dense model is called among the pruners, at level 0."""

_REQUIRED = ("task", "pruner", "level", "value")


@dataclass(frozen=True)
class Point:
    """value: in the task's unit. source: where and how it was read; note: what is odd about it. Both may be empty."""

    value: float
    uncertain: bool = False
    source: str = ""
    note: str = ""


@dataclass(frozen=True)
class Curves:
    """dense: the score of the dense model. points: {pruner: {level: point}}, levels ascending."""

    dense: Point
    points: Mapping[str, Mapping[float, Point]]

    def judged(self, rule: Tolerance, higher_is_better: bool = True) -> dict[str, FirstFail]:
        """The first-fail of every pruner under a rule."""
        return {
            found.pruner: found
            for found in first_fails(
                CellResult(Cell("", pruner, level, 0), rule.judge(point.value, self.dense.value, higher_is_better), "")
                for pruner, points in self.points.items()
                for level, point in points.items()
            )
        }


def published(task: Plugin) -> Curves | None:
    """None for a task that declares none. Raises PluginError for a file that cannot be used."""
    name = task.declared("published_curves")
    if name is None:
        return None
    if task.file is None or not isinstance(name, str):
        raise PluginError(f"{task.name}: published_curves is {name!r}; the name of a CSV file beside it would work")
    path = task.file.parent / name
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            found = _read(csv.DictReader(stream), task.name)
    except (OSError, ValueError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise PluginError(f"{task.name}: published_curves {path}: {reason}") from error
    if DENSE not in found or 0.0 not in found[DENSE]:
        raise PluginError(f"{task.name}: published_curves {path}: no row of its own for {DENSE!r} at level 0")
    return Curves(found.pop(DENSE)[0.0], found)


def _read(rows: csv.DictReader[str], task: str) -> dict[str, dict[float, Point]]:
    if lacking := [name for name in _REQUIRED if name not in (rows.fieldnames or ())]:
        raise ValueError(f"it has no column {lacking[0]!r}")
    found: dict[str, dict[float, Point]] = defaultdict(dict)
    for row in rows:
        if row["task"] == task:
            source = (row.get("figure") or "") + (f" ({row['reading']})" if row.get("reading") else "")
            point = Point(float(row["value"]), row.get("uncertain") == "true", source, row.get("note") or "")
            if found[row["pruner"]].setdefault(level := float(row["level"]), point) is not point:
                raise ValueError(f"line {rows.line_num} has {row['pruner']!r} at level {level:g} again")
    return {pruner: dict(sorted(points.items())) for pruner, points in found.items()}


def notes(curves: Curves, pruners: Iterable[str]) -> list[str]:
    """Each note once: of which pruners, and at which levels where it is not of a whole curve."""
    said: dict[tuple[str, tuple[float, ...]], list[str]] = {}
    for pruner in pruners:
        points = curves.points.get(pruner, {})
        for note in dict.fromkeys(point.note for point in points.values() if point.note):
            levels = tuple(level for level, point in points.items() if point.note == note)
            said.setdefault((note, () if len(levels) == len(points) else levels), []).append(pruner)
    return [
        f"{', '.join(names)}{' at ' * bool(levels)}{', '.join(format(level, 'g') for level in levels)}: {note}"
        for (note, levels), names in said.items()
    ]
