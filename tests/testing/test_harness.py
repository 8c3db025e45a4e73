"""The fixture's runs, in this process and without workers, and how first fails compare."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from smc_harness.cells import Cell, CellResult, Measurement, Verdict
from smc_harness.errors import HarnessError, UsageError
from smc_harness.testing.harness import Curve, Harness, Run
from tests.workshop import Workshop

SCORES = {"pass": 0.95, "fail": 0.5, "inconclusive": 0.94}


def results(pruner: str = "mine", task: str = "toy", seed: int = 0, **verdicts: str) -> list[CellResult]:
    """verdicts: by level in hundredths, as in _20="pass"."""
    found = []
    for name, verdict in verdicts.items():
        cell = Cell(task, pruner, int(name[1:]) / 100, seed, "after")
        measured = Measurement(SCORES[verdict], 100, 1.0) if verdict in SCORES else None
        error = "broken" if verdict in ("error", "skipped") else None
        found.append(CellResult(cell, Verdict(verdict), "accuracy", 0.96, measured, error=error))
    return found


def curve(**verdicts: str) -> Curve:
    return Run(results(**verdicts)).first_fail()


def test_a_first_fail_is_above_what_passed_and_not_above_what_failed() -> None:
    found = curve(_20="pass", _36="pass", _50="fail", _60="not-run")
    assert (found.last_pass, found.first_fail) == (0.36, 0.5)
    assert found > 0.2 and found > 0.36 and found.holds_up_to(0.3)
    assert found <= 0.5 and found <= 0.6
    assert not found > 0.4 and not found <= 0.4  # it may be on either side
    assert not found > 0.5 and not found <= 0.36


def test_none_up_to_the_highest_level_is_above_that_level_alone() -> None:
    found = curve(_20="pass", _36="pass")
    assert found.first_fail == math.inf
    assert found > 0.36 and not found > 0.37 and not found <= 0.9


def test_what_never_passed_is_above_nothing() -> None:
    found = curve(_20="fail", _36="not-run")
    assert found.last_pass is None
    assert not found > 0.0 and found <= 0.2


def test_a_curve_that_recovers_or_is_undecided_below_holds_no_further() -> None:
    assert not curve(_20="pass", _36="fail", _50="pass") > 0.36
    assert not curve(_20="inconclusive", _36="pass") > 0.36


def test_a_curve_tells_itself() -> None:
    told = repr(curve(_20="pass", _50="fail", _60="not-run"))
    assert told == "<first fail of toy::mine seed0: (0.2, 0.5]; dense 0.96, 0.2: 0.95 pass, 0.5: 0.5 fail>"


@pytest.mark.parametrize("verdict", ["error", "skipped"])
def test_where_it_is_not_known_the_reason_is_told(verdict: str) -> None:
    with pytest.raises(HarnessError, match=rf"toy::mine\[0.36,seed0\]: {verdict}: broken"):
        curve(_20="pass", _36=verdict, _50="fail")


def test_one_of_several_curves_must_be_named() -> None:
    run = Run([*results("mine", _20="pass"), *results("other", _20="fail"), *results("other", seed=1, _20="pass")])
    assert run.first_fail("mine") > 0.2
    assert run.first_fail("other", "toy", 0) <= 0.2
    assert run.first_fail(seed=1) > 0.2
    with pytest.raises(
        UsageError, match="nothing given, which fits 3 curves; one of toy::mine seed0, toy::other seed0"
    ):
        run.first_fail()
    with pytest.raises(UsageError, match="pruner 'mane', task 'toy' given, which fits 0 curves; did you mean"):
        run.first_fail("mane", "toy")
    assert repr(run) == "<run of toy::mine seed0, toy::other seed0, toy::other seed1>"


@pytest.fixture
def smc(tmp_path: Path, workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Run]]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    workshop.write("pyproject.toml", '[tool.smc-harness]\ncollect = ["plugins"]\n')
    workshop.toy()
    workshop.pruner("mine")
    before = set(sys.modules)
    harness = Harness(tmp_path / "store", alone=False)
    yield lambda *words, **more: harness.run(*words, options="-n 0", **more)
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def test_plugins_are_run_by_name_with_levels_seeds_and_the_settings_of_the_project(smc: Callable[..., Run]) -> None:
    run = smc("mine", ["toy"], levels=[0.2, 0.99], seeds=2)
    assert [cell.cell.id for cell in run.cells] == [
        *("toy::mine[0.2,seed0]", "toy::mine[0.99,seed0]"),
        *("toy::mine[0.2,seed1]", "toy::mine[0.99,seed1]"),
    ]
    assert run.first_fail("mine", "toy", seed=1) <= 0.99
    again = smc("mine", "toy", levels=[0.2, 0.99], seeds=2)
    assert all(cell.cached for cell in again.cells if cell.measurement)


def test_parameters_are_set_and_what_cannot_be_run_is_a_usage_error(
    smc: Callable[..., Run], workshop: Workshop
) -> None:
    run = smc("mine", "toy", levels=[0.5], parameters={"mine.allocation": "uniform"})
    assert len(set(run.cells[0].measurement.densities.values())) == 1  # type: ignore[union-attr]
    with pytest.raises(UsageError, match="mine has no parameter 'alloc'"):
        smc("mine", "toy", parameters={"mine.alloc": "uniform"})
    workshop.write("plugins/broken.py", "import nowhere_to_be_found  # hookimpl")
    with pytest.raises(UsageError, match="plugins/broken.py: import failed: ModuleNotFoundError"):
        smc("mine", "toy", levels=[0.5])


def test_a_session_plugin_that_fails_is_not_passed_over(smc: Callable[..., Run], workshop: Workshop) -> None:
    workshop.write(
        "plugins/listener.py",
        """
        from smc_harness import hookimpl
        name = "listener"

        @hookimpl
        def cell_finished(result):
            raise OSError("nobody listens")
        """,
    )
    with pytest.raises(HarnessError, match="a session plugin failed: OSError: nobody listens"):
        smc("mine", "toy", levels=[0.5])
