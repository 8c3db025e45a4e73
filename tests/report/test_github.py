from __future__ import annotations

import atexit
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from smc_harness.baseline.changes import Change, Comparison, LevelChange, PairChange
from smc_harness.cells import Cell, CellResult, Measurement, Verdict, visible
from smc_harness.report import github
from smc_harness.report.saved import of
from tests.report.hostile import NAMES
from tests.report.saving import saved
from tests.workshop import Ran, Workshop

WORSE = LevelChange(0.36, (0,), Change.REGRESSION, 0.81, 0.76, 2000, (0.041, 0.059), True)
COMPARISON = Comparison("b.json", pairs=[PairChange("t::p", "t", "p", Change.REGRESSION, [WORSE], [])])


@pytest.fixture(autouse=True)
def at_github(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The file of the summary."""
    monkeypatch.setattr(atexit, "register", lambda function: None)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    monkeypatch.setattr(github, "of_session", lambda session, results: of(saved(results)))
    return tmp_path / "summary.md"


def result(verdict: Verdict, pruner: str = "p", level: float = 0.2, error: str | None = None) -> CellResult:
    measured = None if error else Measurement(0.75, 100, 2.5, realised=level)
    return CellResult(Cell("t", pruner, level, 0), verdict, "accuracy", 0.8125, measured, error=error)


def said(
    capsys: pytest.CaptureFixture[str],
    results: Sequence[CellResult],
    comparison: Comparison | None = None,
    between: str = "",
    **options: Any,
) -> list[str]:
    """The commands that GitHub would obey. between: what is printed while the run lasts."""
    settled = SimpleNamespace(**{"strict": False, "update_baseline": False} | options)
    session: Any = SimpleNamespace(config=SimpleNamespace(options=settled), comparison=comparison)
    writer = github.GitHub()
    print(between)
    writer.session_finished(session, results)
    return obeyed(capsys.readouterr().out)


def obeyed(log: str) -> list[str]:
    """As the runner reads a log."""
    found, token = [], None
    for line in re.split("\r\n|\r|\n", log):
        command = line.strip()
        if token is not None:
            token = None if command == f"::{token}::" else token
        elif command.startswith("::stop-commands::"):
            token = command.removeprefix("::stop-commands::")
        elif command.startswith("::") or "##[" in command:  # the form of old, which may stand anywhere
            found.append(command)
    assert token is None, "no command would be taken any more"
    return found


def test_a_result_is_no_annotation(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        said(capsys, [result(Verdict.PASS), result(Verdict.FAIL, level=0.5), result(Verdict.INCONCLUSIVE, "q")]) == []
    )


def test_under_strict_a_failure_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, [result(Verdict.FAIL, level=0.5)], strict=True) == [
        "::error title=t%3A%3Ap[0.5%2Cseed0]::FAIL accuracy 0.75, dense 0.8125"
    ]


def test_an_error_is_one_for_all_the_cells_that_it_cost(capsys: pytest.CaptureFixture[str]) -> None:
    errors = [result(Verdict.ERROR, level=level, error="100% odd: a, b") for level in (0.2, 0.5)]
    assert said(capsys, errors) == [
        "::error title=t%3A%3Ap[0.2%2Cseed0]::ERROR t::p[0.2,seed0] and 1 more of its levels: 100%25 odd: a, b"
    ]


def test_a_regression_is_one_unless_the_baseline_is_written_anew(capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = said(capsys, [result(Verdict.PASS)], COMPARISON)
    assert line.startswith("::error title=t%3A%3Ap::REGRESSION t::p at 0.36: 0.81 -> 0.76 (worse by 0.041")
    assert said(capsys, [result(Verdict.PASS)], COMPARISON, update_baseline=True) == []


def test_of_more_than_github_shows_the_last_says_how_many(capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(capsys, [result(Verdict.ERROR, f"p{i}", error="odd") for i in range(12)])
    assert len(lines) == 10
    assert lines[-1] == "::error title=smc-harness::3 more; the log and the reports have them all"


@pytest.mark.parametrize("name", NAMES)
def test_no_name_and_no_error_gives_a_command(capsys: pytest.CaptureFixture[str], name: str) -> None:
    results = [result(Verdict.ERROR, name, error=visible(name)), result(Verdict.FAIL, name, 0.5)]
    lines = said(capsys, results, between=f"{name}\n::set-output name=x::y\n##[add-mask]z", strict=True)
    assert [line.partition(" ")[0] for line in lines] == ["::error", "::error"]
    for line in lines:
        title = line.removeprefix("::error title=").partition("::")[0]
        assert not set(title) & set("\r\n:,")


def test_the_summary_has_the_table_the_comparison_and_the_errors(
    capsys: pytest.CaptureFixture[str], at_github: Path
) -> None:
    at_github.write_text("of an earlier command\n")
    said(capsys, [result(Verdict.FAIL), result(Verdict.ERROR, "q", error="odd")], COMPARISON)
    text = at_github.read_text()
    assert text.startswith("of an earlier command\n### smc-harness\n\n| pruner |")
    for expected in ("| `p` |  | (-, 0.2] |", "- ERROR `t::q[0.2,seed0]`: `odd`", "beside `b.json`", "- REGRESSION t"):
        assert expected in text


def test_a_summary_that_is_too_long_is_cut_at_a_line(tmp_path: Path) -> None:
    place = tmp_path / "summary.md"
    github.append(place, "é" * 100 + "\n")
    github.append(place, ("x" * 999 + "\n") * 2000)
    assert place.stat().st_size <= 2**20
    *lines, last = place.read_text().splitlines()
    assert {len(line) for line in lines} == {100, 999, 0}
    assert last == "The rest is too long for a summary; --markdown has it all."


def test_a_summary_that_cannot_be_written_is_a_warning(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path))
    (line,) = said(capsys, [result(Verdict.PASS)])
    assert line.startswith("::warning title=smc-harness::no summary of the job: IsADirectoryError")


def test_elsewhere_nothing_is_said(command: Callable[..., Ran], workshop: Workshop) -> None:
    assert "::stop-commands" not in command("--tasks", "commonsense-mini", "--co").out


def test_a_run_in_which_names_are_commands(workshop: Workshop, at_github: Path) -> None:
    workshop.toy()
    workshop.write("plugins/odd.py", workshop.pruner("mine").read_text().replace("'mine'", "'::error::odd'"))
    workshop.write("plugins/toy.py", workshop.toy().read_text().replace('name = "toy"', 'name = "::warning::toy"'))
    words = ("--collect", "plugins", "--levels", "0.2", "-n", "1", "-v")
    ran = workshop.run(*words, environment={"GITHUB_ACTIONS": "true"})
    assert ran.code == 0, ran.err
    assert "\n::warning::toy::mine[0.2,seed0] PASS" in ran.out
    assert obeyed(ran.out) == []
    assert "&#58;&#58;warning" not in at_github.read_text()  # in a code span it is as it is
    assert "`::warning::toy`" in at_github.read_text()


def test_a_command_line_that_ends_early_lets_commands_be_taken_again(workshop: Workshop) -> None:
    ran = workshop.run("--tasks", "commonsense-mini", "--co", environment={"GITHUB_ACTIONS": "true"})
    assert ran.out.startswith("::stop-commands::")
    assert obeyed(ran.out) == []
