"""What is written down before it is told, and together with what."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from smc_harness.cells import Cell, CellResult
from smc_harness.execution import ledger
from smc_harness.execution.jobs import Event, Job, Measured
from smc_harness.store.results import Results
from tests.execution.playing import GOOD, LEVELS, play


@pytest.mark.parametrize("more", [False, True])
def test_a_cell_is_told_of_when_another_process_can_read_it(drive, tmp_path: Path, more: bool) -> None:
    there: dict[float, bool] = {}

    def told(item: Cell | CellResult) -> None:
        if isinstance(item, CellResult):
            connection = sqlite3.connect(tmp_path / "results.sqlite")
            cells = connection.execute("SELECT m.level FROM session_cells c JOIN measurements m USING (key)").fetchall()
            there[item.cell.level] = (item.cell.level,) in cells

    drive(lambda job: play(job, GOOD), more=more, told=told)
    assert there == dict.fromkeys(LEVELS, True)


def test_cells_are_told_of_in_the_order_of_events(drive) -> None:
    told: list[tuple[str, float]] = []

    def tell(item: Cell | CellResult) -> None:
        told.append(("finished", item.cell.level) if isinstance(item, CellResult) else ("started", item.level))

    drive(lambda job: play(job, GOOD), more=True, told=tell)
    assert told == [(what, level) for level in LEVELS for what in ("started", "finished")]


@pytest.mark.parametrize(("more", "transactions"), [(False, 4), (True, 2)])
def test_what_is_heard_while_more_is_there_is_written_in_one_transaction(
    drive, monkeypatch: pytest.MonkeyPatch, more: bool, transactions: int
) -> None:
    """One is that of the dense model, whose job ends before the others begin."""
    monkeypatch.setattr(ledger, "_SECONDS", float("inf"))
    begun = []
    together = Results.together

    def counted(results: Results):
        if not results._connection.in_transaction:
            begun.append(1)
        return together(results)

    monkeypatch.setattr(Results, "together", counted)
    drive(lambda job: play(job, GOOD), more=more)
    assert len(begun) - 2 == transactions  # opening the file and beginning the session aside


def test_no_cell_waits_for_others_for_long(drive, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where events never cease, and judging takes its time."""
    monkeypatch.setattr(ledger, "_SECONDS", 0.0)
    told = []
    measured_when_told = []

    def script(job: Job) -> Iterator[Event]:
        for event in play(job, GOOD):
            if isinstance(event, Measured):
                measured_when_told.append(len(told))
            yield event

    drive(script, more=True, told=lambda item: told.extend([item] * isinstance(item, CellResult)))
    assert measured_when_told == [0, 0, 1, 2]
