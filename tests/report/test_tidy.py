from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pandas
import pytest

from smc_harness.cells import Cell, CellResult, Judgement, Measurement, Pooled, Verdict
from smc_harness.errors import UsageError
from smc_harness.report import to_pandas
from smc_harness.report.saved import of
from smc_harness.report.tidy import CSV, PARQUET, frame
from tests.report.hostile import NAMES
from tests.report.saving import saved
from tests.workshop import Ran, Workshop

MEASURED = Measurement(0.75, 100, 2.5, 40, realised=0.25, diagnosis=["one", "two"], peak_memory=2**40)
RESULTS = [
    CellResult(
        Cell("t", "p", 0.2, 0, "after", "paper", "d1"), Verdict.INCONCLUSIVE, "accuracy", 0.8, MEASURED, cached=True,
        judgement=Judgement(Verdict.INCONCLUSIVE, -0.01, 0.03, 4000, None, 0.2, 0.4),
        pooled=Pooled(0.7, 0.81, 200, (0, 1)),
    ),
    CellResult(Cell("t", "p", 0.5, 1, "after"), Verdict.ERROR, "accuracy", error="ValueError: odd"),
]  # fmt: skip


def test_a_cell_is_a_row_with_all_that_is_known_of_it() -> None:
    first, second = frame(of(saved(RESULTS))).to_dict("records")
    assert first == {
        "id": "t::p[0.2,seed0]", "task": "t", "pruner": "p", "phase": "after", "scope": "paper", "params_digest": "d1",
        "level": 0.2, "seed": 0, "verdict": "inconclusive", "metric": "accuracy", "unit": "fraction", "value": 0.75,
        "dense": 0.8, "drop_low": -0.01, "drop_high": 0.03, "p_within": 0.2, "p_beyond": 0.4, "needed": 4000,
        "needed_seeds": None, "pooled_value": 0.7, "pooled_dense": 0.81, "realised": 0.25, "realised_model": 0.0,
        "n": 100, "seconds": 2.5, "steps": 40, "peak_memory": 2**40, "cached": True, "error": None,
        "diagnosis": "one; two; the level is 0.2, but 0.25 of the scope is pruned",
    }  # fmt: skip
    assert (second["verdict"], second["error"]) == ("error", "ValueError: odd")
    assert all(pandas.isna(second[name]) for name in ("value", "n", "seconds", "drop_low", "realised", "diagnosis"))


def test_a_run_without_cells_has_the_columns() -> None:
    assert list(frame(of(saved([]))).columns) == list(frame(of(saved(RESULTS))).columns)


def test_the_values_of_csv_are_those_of_json() -> None:
    content = CSV.content(of(saved(RESULTS)))
    assert isinstance(content, str)
    rows = list(csv.DictReader(io.StringIO(content)))
    assert [float(row["level"]) for row in rows] == [0.2, 0.5]
    assert (rows[0]["n"], rows[0]["peak_memory"], rows[1]["n"]) == ("100", str(2**40), "")


@pytest.mark.parametrize("name", NAMES)
def test_names_come_back_as_they_were(name: str) -> None:
    run = of(saved([CellResult(Cell(name, name, 0.2, 0), Verdict.PASS, name, 0.8, MEASURED)]))
    content, packed = CSV.content(run), PARQUET.content(run)
    assert isinstance(content, str) and isinstance(packed, bytes)
    (row,) = csv.DictReader(io.StringIO(content, newline=""))
    (same,) = pandas.read_parquet(io.BytesIO(packed)).to_dict("records")
    for found in (row, same):
        assert (found["task"], found["pruner"], found["metric"]) == (name, name, name)


def test_a_run_becomes_a_table_from_a_file_a_session_or_what_was_read(
    command: Callable[..., Ran], workshop: Workshop
) -> None:
    workshop.toy()
    workshop.pruner("mine")
    files = [word for name in ("json", "csv", "parquet") for word in (f"--{name}", f"run.{name}")]
    ran = command("--collect", "plugins", "--levels", "0.2,0.5", "-n", "0", *files)
    assert ran.code == 0, ran.err
    table = to_pandas("run.json")
    assert list(table["id"]) == ["toy::mine[0.2,seed0]", "toy::mine[0.5,seed0]"]
    run = of(json.loads(Path("run.json").read_text()))
    for other in (to_pandas(1), to_pandas(Path("run.json")), to_pandas(run), pandas.read_parquet("run.parquet")):
        pandas.testing.assert_frame_equal(other, table, check_dtype=False)
    assert Path("run.csv").read_text() == CSV.content(run)
    with pytest.raises(UsageError, match="no such session"):
        to_pandas(7)
