"""What trackers are told; with the real clients in test_mlflow.py and test_wandb.py."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

import pytest

from smc_harness.cells import Cell, CellResult, Measurement, Verdict
from smc_harness.report.tracked import Trajectory, curve, outcome, trajectories
from tests.workshop import Ran, Workshop

MEASURED = Measurement(0.9, 100, 1.0, realised=0.21)


def result(level: float, verdict: str, measured: Measurement | None = MEASURED, pruner: str = "mine") -> CellResult:
    return CellResult(Cell("toy", pruner, level, 0), Verdict(verdict), "accuracy", 0.95, measured)


def test_a_curve_is_of_what_was_measured() -> None:
    assert curve(result(0.2, "pass")) == {"value": 0.9, "dense": 0.95, "realised": 0.21, "passed": 1.0}
    assert curve(result(0.2, "fail"))["passed"] == 0.0
    assert "passed" not in curve(result(0.2, "inconclusive"))
    assert curve(result(0.2, "error", None)) == {}


def test_an_outcome_has_the_ends_that_there_are() -> None:
    assert outcome([result(0.2, "pass"), result(0.36, "fail")]) == {"last_pass": 0.2, "first_fail": 0.36}
    assert outcome([result(0.2, "pass")]) == {"last_pass": 0.2}
    assert outcome([result(0.2, "fail")]) == {"first_fail": 0.2}


def test_results_are_parted_by_trajectory() -> None:
    parted = trajectories([result(0.2, "pass"), result(0.2, "pass", pruner="other"), result(0.36, "fail")])
    assert {found.label: len(own) for found, own in parted.items()} == {"toy::mine seed0": 2, "toy::other seed0": 1}
    assert Trajectory("toy", "mine", 0) in parted


@pytest.mark.parametrize("tracker", ["mlflow", "wandb"])
def test_a_client_that_is_not_installed_is_named_with_its_extra(
    tracker: str, command: Callable[..., Ran], workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, tracker, None)
    workshop.toy()
    workshop.pruner("mine")
    words = ("--collect", "plugins", "--levels", "0.2")
    ran = command(*words, "-p", tracker)
    assert (ran.code, ran.out) == (4, "")
    assert ran.err.startswith(f"smc-harness: -p {tracker}: ModuleNotFoundError: ")
    assert ran.err.endswith(f"; pip install 'smc-harness[{tracker}]' would work\n") and ran.err.count("\n") == 1
    assert command(*words, "--collect-only", "-p", tracker).code == 0


def test_trackers_wait_to_be_named(command: Callable[..., Ran]) -> None:
    listed = json.loads(command("list", "plugins", "--json").out)["plugins"]
    assert {row["name"]: row["default"] for row in listed if row["name"] in ("mlflow", "wandb")} == {
        "mlflow": False,
        "wandb": False,
    }
