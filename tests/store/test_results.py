"""The results file."""

from __future__ import annotations

import sqlite3

import pytest

from smc_harness.cells import Cell, CellResult, Measurement, Verdict
from smc_harness.errors import StoreError, UsageError
from smc_harness.store.results import Results, existing, outcomes

MEASURED = Measurement(value=0.1 + 0.2, n=3, seconds=1.0, densities={"w": 0.5}, diagnosis=["d"], logged={"k": 1})


def test_a_measurement_comes_back_to_the_bit(tmp_path) -> None:
    results = Results(tmp_path)
    results.keep("key", "task", "pruner", 0.5, 0, MEASURED)
    results.close()
    assert Results(tmp_path).find(["key", "other"]) == {"key": MEASURED}


def test_a_measurement_that_is_there_stays(tmp_path) -> None:
    results = Results(tmp_path)
    results.keep("key", "task", None, None, 0, MEASURED)
    results.keep("key", "task", None, None, 0, Measurement(value=9.0, n=1, seconds=0.0))
    assert results.find(["key"])["key"] == MEASURED


def test_another_connection_sees_a_measurement_as_soon_as_keep_returns(tmp_path) -> None:
    results = Results(tmp_path)
    results.keep("key", "task", None, None, 0, MEASURED)
    assert sqlite3.connect(tmp_path / "results.sqlite").execute("SELECT COUNT(*) FROM measurements").fetchone() == (1,)


def test_what_is_written_together_is_seen_together_or_not_at_all(tmp_path) -> None:
    results, elsewhere = Results(tmp_path), Results(tmp_path)
    with results.together():
        results.keep("first", "task", None, None, 0, MEASURED, b"outcomes")
        results.begin_session("command")
        assert elsewhere.find(["first"]) == {} and outcomes(tmp_path, "first") is None
    assert elsewhere.find(["first"]) and outcomes(tmp_path, "first") == b"outcomes"
    with pytest.raises(KeyError), results.together():
        results.keep("second", "task", None, None, 0, MEASURED, b"outcomes")
        raise KeyError
    assert results.find(["second"]) == {} and outcomes(tmp_path, "second") is None


def test_where_there_is_no_store_or_an_old_one_there_are_no_outcomes(tmp_path) -> None:
    assert outcomes(tmp_path, "key") is None
    assert list(tmp_path.iterdir()) == []
    Results(tmp_path).close()
    connection = sqlite3.connect(tmp_path / "results.sqlite")
    connection.executescript("DROP TABLE outcomes; PRAGMA user_version = 2")
    connection.close()
    assert outcomes(tmp_path, "key") is None


def test_a_store_of_a_newer_schema_is_refused_in_one_line(tmp_path) -> None:
    Results(tmp_path).close()
    connection = sqlite3.connect(tmp_path / "results.sqlite")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreError, match="newer smc-harness .schema 99; this one reads up to 4.; upgrade"):
        Results(tmp_path)


def test_the_report_of_a_session_is_kept_under_its_number(tmp_path) -> None:
    results = Results(tmp_path)
    first, second = (results.begin_session(word) for word in "ab")
    results.keep_report(second, '{"é": 1}')
    assert (results.report(first), results.report(second)) == (None, '{"é": 1}')


def test_a_store_of_the_first_schema_gets_what_it_lacks_and_keeps_what_it_has(tmp_path) -> None:
    results = Results(tmp_path)
    results.keep("key", "task", None, None, 0, MEASURED)
    results.close()
    connection = sqlite3.connect(tmp_path / "results.sqlite")
    drop = "DROP TABLE reports; DROP TABLE outcomes; ALTER TABLE measurements DROP COLUMN seal"
    connection.executescript(f"{drop}; PRAGMA user_version = 1")
    connection.close()
    again = Results(tmp_path)
    again.keep_report(1, "{}")
    assert (again.report(1), again.find(["key"])) == ("{}", {"key": MEASURED})


def test_a_store_that_must_be_there_is_not_made(tmp_path) -> None:
    with pytest.raises(UsageError, match="no results there; a folder that an earlier run used would work"):
        existing(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database_is_refused_in_one_line(tmp_path) -> None:
    (tmp_path / "results.sqlite").write_text("hello, this is no database at all" * 100)
    with pytest.raises(StoreError, match="not a database; remove the file"):
        Results(tmp_path)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE measurements SET measurement = replace(measurement, '0.3', '0.9')",
        "UPDATE measurements SET measurement = CAST(x'ff00' AS TEXT)",
        "UPDATE measurements SET key = 'other' WHERE key = 'key'",
        "UPDATE measurements SET seal = NULL",
    ],
)
def test_a_row_that_is_not_what_was_written_is_measured_again(tmp_path, damage: str) -> None:
    results = Results(tmp_path)
    results.keep("key", "task", None, None, 0, MEASURED)
    sqlite3.connect(tmp_path / "results.sqlite", isolation_level=None).execute(damage)
    results.close()
    results = Results(tmp_path)  # opening it does not seal what is there
    assert results.find(["key", "other"]) == {}
    again = Measurement(value=9.0, n=1, seconds=0.0)
    results.keep("key", "task", None, None, 0, again)
    assert results.find(["key"]) == {"key": again}


def test_a_full_disk_is_one_line_and_what_was_kept_before_is_there(tmp_path) -> None:
    results = Results(tmp_path)
    results.keep("small", "task", None, None, 0, MEASURED)
    (pages,) = results._connection.execute("PRAGMA page_count").fetchone()
    results._connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreError, match="is full; where that is mended, the same command goes on from here"):
        results.keep("large", "task", None, None, 0, MEASURED, b"x" * 2**20)
    with pytest.raises(StoreError, match="is full"), results.together():
        results.keep("large", "task", None, None, 0, MEASURED, b"x" * 2**20)
    assert results.find(["small", "large"]) == {"small": MEASURED}
    results._connection.execute("PRAGMA max_page_count = 100000")
    results.keep("large", "task", None, None, 0, MEASURED, b"x" * 2**20)
    assert Results(tmp_path).find(["small", "large"]).keys() == {"small", "large"}


def test_the_last_failed_cells_are_those_of_the_last_session_that_settled_any(tmp_path) -> None:
    results = Results(tmp_path)

    def settle(session: int, verdicts: dict[str, Verdict]) -> None:
        rows = [(CellResult(Cell("t", name, 0.5, 0), verdict, "m"), None) for name, verdict in verdicts.items()]
        results.settle(session, rows)

    settle(results.begin_session("a"), {"old": Verdict.FAIL})
    settle(results.begin_session("b"), {"p": Verdict.PASS, "f": Verdict.FAIL, "e": Verdict.ERROR})
    results.begin_session("c")
    assert results.last_failed() == {"t::f[0.5,seed0]", "t::e[0.5,seed0]"}
    assert [run["cells"] for run in results.sessions()] == [1, 3, 0]
