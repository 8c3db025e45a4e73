from __future__ import annotations

from typing import Any

import pytest

from smc_harness.cells import Cell, CellResult, Measurement, Verdict
from smc_harness.report.page.cells import density, findings, of_run
from smc_harness.report.saved import SavedRun, of
from tests.report import runs
from tests.report.saving import saved


def rows(run: SavedRun) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    tasks, pruners = ([*dict.fromkeys(getattr(r.cell, axis) for r in run.results)] for axis in ("task", "pruner"))
    found = of_run(run, tasks, pruners)
    return found, [dict(zip(found["columns"], row, strict=True)) for row in found["rows"]]


@pytest.mark.parametrize(
    ("share", "text"), [(0.0, "00"), (1.0, "rs"), (0.5, "dw"), (1e-9, "01"), (1 - 1e-9, "rr"), (0.036, "10")]
)
def test_a_density_is_two_digits_and_only_what_is_empty_or_full_is_shown_as_such(share: float, text: str) -> None:
    assert density(share) == text
    assert abs(int(text, 36) / 1000 - share) <= 1e-3


def test_a_row_holds_what_was_measured() -> None:
    found, cells = rows(runs.run(["one", "two"], ["snip", "gmp"]))
    cell = next(cell for cell in cells if cell["id"] == "two::gmp[0.36,seed0]")
    assert (cell["task"], cell["pruner"], found["verdicts"][cell["verdict"]]) == (1, 1, "pass")
    assert (cell["value"], cell["steps"], cell["n"], cell["memory"]) == (0.9, 700, 2000, 300 * 2**20)
    assert len(found["tensors"]) == 1
    assert len(cell["densities"]) == 2 * len(found["tensors"][cell["tensors"]])


def test_what_was_not_measured_has_nothing() -> None:
    found, cells = rows(runs.broken())
    assert {cell["value"] for cell in cells} == {cell["tensors"] for cell in cells} == {None}
    assert found["texts"] == [f"raised {runs.MARKUP}"]  # once for all ten


def test_long_diagnoses_are_cut_short() -> None:
    cell = Cell("task", "pruner", 0.0, 0, "after")
    found = Measurement(0.5, 10, 1.0, diagnosis=[f"tensor {n} is dead" for n in range(12)])
    told = findings(CellResult(cell, Verdict.FAIL, "accuracy", 0.9, found))
    assert told[7:] == ["tensor 7 is dead", "and 4 more"]


def test_names_of_tensors_are_on_one_line() -> None:
    found = Measurement(0.5, 10, 1.0, densities={"a\nb": 1.0})
    run = of(saved([CellResult(Cell("task", "pruner", 0.0, 0, "after"), Verdict.PASS, "accuracy", 0.9, found)]))
    assert rows(run)[0]["tensors"] == [["a\\nb"]]
