"""Saved runs as a page has to show them: large ones, and ones with hostile names."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from smc_harness.cells import Cell, CellResult, Measurement, Verdict
from smc_harness.config import PAPER_LEVELS
from smc_harness.report.saved import SavedRun, of
from tests.report.saving import Object, saved

MARKUP = "<script>alert(1)</script>"
QUOTES = "it's \"a\" task\nof two lines & </script><!--"
PHASES = ("before", "during", "after", "iterative")


def results(
    tasks: Sequence[str], pruners: Sequence[str], levels: Sequence[float] = PAPER_LEVELS, seeds: int = 1, tensors: int = 4
) -> Iterator[CellResult]:
    """Every pruner holds up to a level of its own, and the one after it fails; the rest is not run."""
    for number, task in enumerate(tasks):
        for rank, pruner in enumerate(pruners):
            for seed in range(seeds):
                holds = (rank + number + seed) % (len(levels) + 1)
                for index, level in enumerate(levels):
                    cell = Cell(task, pruner, level, seed, PHASES[rank % 4], "paper", "0" * 8)
                    verdict = Verdict.PASS if index < holds else Verdict.FAIL if index == holds else Verdict.NOT_RUN
                    found = None if verdict is Verdict.NOT_RUN else measured(0.9 - 0.2 * (index == holds), level, tensors)
                    yield CellResult(cell, verdict, "accuracy", 0.9, found)


def measured(value: float, level: float, tensors: int) -> Measurement:
    densities = {
        f"encoder.layer.{n}.attention.weight": round((1 - level) * (1 + 0.1 * math.sin(n)), 4) for n in range(tensors)
    }
    return Measurement(value, 2000, 4.2, 700, level, 0.9 * level, densities, peak_memory=300 * 2**20)


def run(*arguments: object, options: Object | None = None, **more: object) -> SavedRun:
    """Of what `results` makes."""
    return of(saved(list(results(*arguments, **more)), options))  # type: ignore[arg-type]


def large() -> SavedRun:
    """5 000 cells, all of them measured, with as many tensors as a large transformer has."""
    grid = (*(level / 100 for level in range(50, 100, 5)),)
    found = [
        CellResult(
            Cell(f"task-{t:02}", f"pruner-{p:02}", level, 0, PHASES[p % 4], "paper", "0" * 8),
            Verdict.PASS if level < 0.6 + p / 100 else Verdict.FAIL,
            "accuracy",
            0.9,
            measured(0.9 - 0.1 * max(0.0, level - 0.6 - p / 100) - t / 1000, level, 144),
        )
        for t in range(20)
        for p in range(25)
        for level in grid
    ]
    return of(saved(found))


def hostile() -> SavedRun:
    """Names that would be markup, or end a line, if they were not shown as text."""
    return run([QUOTES, "plain"], [MARKUP, "{{ 7 * 7 }}", "usual"])
