"""The cells of a page, small: what many cells share is kept once, and a density is two characters."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from smc_harness.cells import CellResult, Verdict, visible
from smc_harness.report import rerun
from smc_harness.report.saved import SavedRun

VERDICTS = [verdict.value for verdict in Verdict]
COLUMNS = (
    *("id", "task", "pruner", "level", "seed", "verdict", "value", "dense", "low", "high", "realised", "steps", "n"),
    *("seconds", "memory", "cached", "findings", "again", "tensors", "densities"),
)
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_FINDINGS = 8


class Once:
    """Things that repeat, each kept once and known by its number."""

    def __init__(self) -> None:
        self.numbers: dict[Any, int] = {}

    def number(self, thing: Any) -> int:
        return self.numbers.setdefault(thing, len(self.numbers))


def of_run(run: SavedRun, tasks: Sequence[str], pruners: Sequence[str]) -> dict[str, Any]:
    """columns: names of the members of a row. texts, tensors: what the rows refer to by number.

    low, high: the drop from dense, in the task's unit. memory: bytes. findings: error and diagnosis. again: the words
    of its command that follow those of all cells. densities: per mille, two digits to the base 36 for each tensor.
    """
    texts, tensors = Once(), Once()
    numbers = {name: number for number, name in enumerate(tasks)}, {name: number for number, name in enumerate(pruners)}
    rows = [_row(result, *numbers, texts, tensors) for result in run.results]
    return {
        "columns": COLUMNS,
        "rows": rows,
        "verdicts": VERDICTS,
        "texts": list(texts.numbers),
        "tensors": [list(map(visible, names)) for names in tensors.numbers],
        "again": shlex.join(rerun.words(run)),
    }


def _row(
    result: CellResult, tasks: dict[str, int], pruners: dict[str, int], texts: Once, tensors: Once
) -> tuple[Any, ...]:
    cell, found, judgement = result.cell, result.measurement, result.judgement
    densities = found.densities if found else {}
    return (
        cell.id,
        tasks[cell.task],
        pruners[cell.pruner],
        cell.level,
        cell.seed,
        VERDICTS.index(result.verdict.value),
        _short(result.value),
        _short(result.dense),
        _short(judgement.low if judgement else None),
        _short(judgement.high if judgement else None),
        _short(found.realised if found else None),
        found.steps if found else None,
        found.n if found else None,
        None if found is None else round(found.seconds, 2),
        found.peak_memory if found else None,
        int(result.cached),
        [texts.number(text) for text in findings(result)],
        shlex.join(rerun.words_for(cell)),
        tensors.number(tuple(densities)) if densities else None,
        "".join(map(density, densities.values())),
    )


def findings(result: CellResult) -> list[str]:
    """Its error, and the first findings of its diagnosis; `--json` has them all."""
    found = [visible(text) for text in ([result.error] if result.error else []) + result.diagnosis]
    more = len(found) - _FINDINGS
    return [*found[:_FINDINGS], f"and {more} more"] if more > 0 else found


def density(share: float) -> str:
    """In per mille, as two digits; a tensor that is not quite empty, or not quite full, is not shown as such."""
    rounded = round(1000 * share)
    inside = min(max(rounded, 1), 999) if 0 < share < 1 else rounded
    return _DIGITS[inside // 36] + _DIGITS[inside % 36]


def _short(value: float | None) -> float | None:
    """Six digits: more than is ever shown."""
    return None if value is None else float(f"{value:.6g}")
