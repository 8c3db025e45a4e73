from __future__ import annotations

from smc_harness.baseline.entries import Point, entries
from smc_harness.cells import Cell, CellResult, Measurement, Verdict

ABOUT = {
    "metric": "accuracy",
    "unit": "fraction",
    "n": 10,
    "params": {"a": (1, 2)},
    "dense_by_seed": {"0": 0.9, "1": None},
}


def result(level: float, verdict: Verdict, value: float | None = 0.5, pruner: str = "p") -> CellResult:
    measured = None if value is None else Measurement(value, 10, 1.0, outcomes="k")
    return CellResult(Cell("t", pruner, level, 0, "after", "paper", "d"), verdict, "accuracy", 0.9, measured)


def test_what_was_measured_is_an_entry_and_nothing_else() -> None:
    results = [
        result(0.36, Verdict.FAIL),
        result(0.2, Verdict.PASS),
        result(0.5, Verdict.ERROR, None),
        result(0.2, Verdict.SKIPPED, None, pruner="q"),
        result(0.2, Verdict.NOT_RUN, None, pruner="r"),
    ]
    found = entries({"torch": "2"}, {"seed": 0, "verbose": 2}, {"t": ABOUT}, results)
    assert set(found) == {("t", "p")}
    entry = found["t", "p"]
    assert entry.points == [
        Point(0.2, 0, 0.5, 10, Verdict.PASS, outcomes="k"),
        Point(0.36, 0, 0.5, 10, Verdict.FAIL, outcomes="k"),
    ]
    (first_fail,) = entry.first_fails
    assert (first_fail.last_pass, first_fail.first_fail, first_fail.unsettled) == (0.2, 0.36, None)
    assert entry.subject.params == {"a": [1, 2]}  # as a file gives it back
    assert (entry.subject.dense, entry.subject.data) == ({0: 0.9}, None)
    assert entry.options["seed"] == 0
    assert "verbose" not in entry.options
