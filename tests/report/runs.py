"""Saved runs as a page has to show them: small, large, over seeds, and with hostile names."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from smc_harness.cells import Cell, CellResult, Measurement, Verdict
from smc_harness.config import PAPER_LEVELS
from smc_harness.report.saved import SavedRun, of
from tests.report.saving import Object, saved

MARKUP = "<script>alert(1)</script>"
QUOTES = 'it\'s "a" task\nof two lines & </script><!--'
PHASES = ("before", "during", "after", "iterative")


def run(
    tasks: Sequence[str],
    pruners: Sequence[str],
    seeds: int = 1,
    options: Object | None = None,
    metric: str = "accuracy",
) -> SavedRun:
    """Every pruner holds up to a level of its own, and fails at the one after it; the rest is not run."""
    return of(saved(list(_results(tasks, pruners, seeds, metric)), options))


def _results(tasks: Sequence[str], pruners: Sequence[str], seeds: int, metric: str) -> Iterator[CellResult]:
    for number, task in enumerate(tasks):
        for rank, pruner in enumerate(pruners):
            for seed in range(seeds):
                holds = (rank + number + seed) % (len(PAPER_LEVELS) + 1)
                for index, level in enumerate(PAPER_LEVELS):
                    cell = Cell(task, pruner, level, seed, PHASES[rank % 4], "paper", "0" * 8)
                    if index > holds:
                        yield CellResult(cell, Verdict.NOT_RUN, metric, 0.9)
                    else:
                        verdict, value = (Verdict.PASS, 0.9) if index < holds else (Verdict.FAIL, 0.7)
                        yield CellResult(cell, verdict, metric, 0.9, measured(value, level))


def measured(value: float, level: float, tensors: int = 4) -> Measurement:
    densities = {
        f"encoder.layer.{n}.attention.weight": round((1 - level) * (1 + 0.1 * math.sin(n)), 4) for n in range(tensors)
    }
    return Measurement(value, 2000, 4.2, 700, level, 0.9 * level, densities, peak_memory=300 * 2**20)


def large() -> SavedRun:
    """5 000 cells, all of them measured, with as many tensors as a large transformer has."""
    found = []
    for task in range(20):
        for pruner in range(25):
            for level in (percent / 100 for percent in range(50, 100, 5)):
                cell = Cell(f"task-{task:02}", f"pruner-{pruner:02}", level, 0, PHASES[pruner % 4], "paper", "0" * 8)
                lost = max(0.0, level - 0.6 - (pruner + task) % 25 / 100)
                verdict = Verdict.FAIL if lost > 0.09 else Verdict.PASS
                found.append(CellResult(cell, verdict, "accuracy", 0.9, measured(0.9 - 0.1 * lost, level, 144)))
    return of(saved(found))


def hostile() -> SavedRun:
    """Names that would be markup, or end a line, if they were not shown as text."""
    return run([QUOTES, "plain"], [MARKUP, "{{ 7 * 7 }}", "usual"], metric=f"\"m' {MARKUP}")


def broken() -> SavedRun:
    """Nothing but errors."""
    cells = [Cell("task", "pruner", level, 0, "after", "paper", "0" * 8) for level in PAPER_LEVELS]
    return of(saved([CellResult(cell, Verdict.ERROR, "accuracy", None, error=f"raised {MARKUP}") for cell in cells]))


def empty() -> SavedRun:
    return of(saved([]))
