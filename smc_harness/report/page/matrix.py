"""The matrix of a page: pruners x tasks, where each first fails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from smc_harness.cells import visible
from smc_harness.report.saved import SavedRun
from smc_harness.report.tables import Told, by_phase, dense_scores, explained, told
from smc_harness.verdict.first_fail import FirstFail, first_fails

_STEPS = 5
"""Colours of first fails; one more is for those that nowhere fail."""


@dataclass(frozen=True)
class Entry:
    """lines: what is told. colour: 0 (fails at the lowest levels) to 5 (fails nowhere); None: not known. order: to
    sort by; None comes last.
    """

    lines: Sequence[Told]
    colour: int | None
    order: float | None


@dataclass(frozen=True)
class Row:
    pruner: str
    phase: str
    entries: Sequence[Entry]


@dataclass(frozen=True)
class Matrix:
    """dense: for each task, its dense scores. notes: what the marks in it mean."""

    tasks: Sequence[str]
    dense: Sequence[Sequence[str]]
    rows: Sequence[Row]
    notes: Sequence[str]


def of(run: SavedRun) -> Matrix:
    """Of all tasks and pruners that have cells."""
    results = run.results
    tasks = list(dict.fromkeys(result.cell.task for result in results))
    lines = told(results)
    levels = sorted({result.cell.level for result in results})
    rows = [
        Row(visible(pruner), phase, [_entry(lines.get((pruner, task), []), levels) for task in tasks])
        for pruner, phase in by_phase(results).items()
    ]
    dense = [dense_scores(run, results, task) for task in tasks]
    return Matrix([visible(task) for task in tasks], dense, rows, explained(run, first_fails(results)))


def _entry(lines: Sequence[Told], levels: Sequence[float]) -> Entry:
    """Coloured and sorted by its first line, which over seeds is the median."""
    found = next((line.found for line in lines if line.found is not None), None)
    return Entry(lines, _colour(found, levels), _order(found))


def _colour(found: FirstFail | None, levels: Sequence[float]) -> int | None:
    if found is None or found.highest is None:
        return None
    return _STEPS if found.first_fail is None else levels.index(found.first_fail) * _STEPS // len(levels)


def _order(found: FirstFail | None) -> float | None:
    if found is None or found.highest is None:
        return None
    return 1 + found.highest if found.first_fail is None else found.first_fail
