"""One cell as an item of pytest: measured in its set-up, judged in its call."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from smc_harness.cells import Cell, CellResult, Verdict, show_level, visible
from smc_harness.verdict.first_fail import first_fails

if TYPE_CHECKING:
    from smc_harness.testing.cells import Cells

SUMMARY = "first_fail"
"""The property of a report that says where its trajectory fails first."""


class CellItem(pytest.Item):
    """Named as the cell is. pass: passed. error: an error of the test, with the reason and what the plugins printed.
    skipped, and not needed: skipped. fail, inconclusive: a result, which pytest calls xfailed; under --strict, failed.
    """

    cells: Cells
    cell: Cell
    result: CellResult

    @classmethod
    def of(cls, session: pytest.Session, cells: Cells, cell: Cell) -> CellItem:
        item: CellItem = cls.from_parent(session, name=cell.id, nodeid=cell.id)
        item.cells, item.cell = cells, cell
        return item

    def setup(self) -> None:
        self.result = self.cells.settle(self.cell)
        self._tell()
        result, reason = self.result, self.result.error or ""
        if result.output:
            self.add_report_section("setup", "output of the plugins", result.output)
        if result.verdict is Verdict.ERROR:
            pytest.fail(reason, pytrace=False)
        if result.verdict is Verdict.SKIPPED:
            pytest.skip(reason)
        if result.verdict is Verdict.NOT_RUN:
            pytest.skip(self._why_not())

    def runtest(self) -> None:
        if self.result.verdict is Verdict.PASS:
            return
        if not self.cells.strict:
            pytest.xfail(self._told())
        pytest.fail(self._told(), pytrace=False)

    def reportinfo(self) -> tuple[Path, None, str]:
        return self.path, None, self.name

    def _told(self) -> str:
        """`fail: accuracy 0.62, dense 0.98`, and what is known of the reason."""
        result = self.result
        judged = result.pooled or result
        scores = f"{result.verdict.value}: {result.metric} {judged.value:.4g}, dense {judged.dense:.4g}"
        return "; ".join([scores, *result.diagnosis])

    def _why_not(self) -> str:
        (found,) = first_fails(self.cells.curve(self.cell))
        if found.first_fail is None:
            return "not needed by the search"
        return f"not needed: first fails at {show_level(found.first_fail)}"

    def _tell(self) -> None:
        """Put the numbers into the report, where junit finds them."""
        from smc_harness.report.tables import interval

        result, curve = self.result, self.cells.curve(self.cell)
        (found,) = first_fails(curve)
        known = {"verdict": result.verdict.value, "value": result.value, "dense": result.dense}
        if result.measurement is not None:
            known["realised"] = result.measurement.realised
        self.user_properties += [(name, value) for name, value in known.items() if value is not None]
        seeds = ",".join(map(str, found.seeds))
        self.user_properties.append(
            (SUMMARY, visible(f"{self.cell.task}::{self.cell.pruner} seed{seeds} {interval(found)}"))
        )
