from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from smc_harness.cells import Cell, CellResult, Measurement, Verdict
from smc_harness.collection.collect import Collection
from smc_harness.discovery.catalogue import Catalogue, Problem
from smc_harness.execution.devices import Device
from smc_harness.execution.jobs import Progress
from smc_harness.report.live import LiveView
from smc_harness.report.tables import closing
from smc_harness.report.terminal import Terminal, new_console
from smc_harness.session import Session
from smc_harness.verdict.search import Search
from tests.toys import PRUNER, plugin
from tests.workshop import Ran, Workshop

CPU = Device()
LONG = "long-" * 40 + "name"
LETTERS = {".": Verdict.PASS, "F": Verdict.FAIL, "E": Verdict.ERROR, "s": Verdict.SKIPPED}


class Screen(io.StringIO):
    """A terminal, as far as anybody asks."""

    def isatty(self) -> bool:
        return True


def config(**options: Any) -> Any:
    settled = {
        "json": None,
        "verbose": 0,
        "quiet": 0,
        "scope": "paper",
        "seed": 0,
        "precision": "float32",
        "evaluate_in": None,
        "search": "until-fail",
        "resolution": None,
        "durations": None,
        "strict": False,
    }
    return SimpleNamespace(options=SimpleNamespace(**settled | {"debug": False} | options), stash={})


def result(cell: Cell, letter: str, says: str = "odd") -> CellResult:
    error = says if letter in "Es" else None
    measurement = None if error else Measurement(0.5, 10, 0.25, realised=cell.level)
    return CellResult(cell, LETTERS[letter], "accuracy", 0.75, measurement, error=error)


def told(
    capsys: pytest.CaptureFixture[str],
    *letters: str,
    task: str = "t",
    broken: bool = False,
    device: Device = CPU,
    error: str = "odd",
    **options: Any,
) -> list[str]:
    """What the terminal shows of a run in which each trajectory of three levels goes as its letters say."""
    levels = (0.2, 0.36, 0.488)
    trajectories = [[Cell(task, f"p{i}", level, 0, "after") for level in levels] for i in range(len(letters))]
    cells = [cell for trajectory in trajectories for cell in trajectory]
    catalogue = Catalogue(problems=[Problem("mine.py", "odd")], notices=["noticed"]) if broken else Catalogue()
    settled = config(**options)
    dense = SimpleNamespace(task=plugin("task", task, SimpleNamespace()), unit="", measurement=None)
    pruners = {f"p{i}": plugin("pruner", f"p{i}", SimpleNamespace()) for i in range(len(letters))}
    denses: Any = {(task, 0): dense}
    collection = Collection(catalogue, {}, pruners, cells)
    session = Session(settled, collection, Path("store"), device=device, denses=denses)
    terminal = Terminal(settled)
    terminal.session_started(session)
    results = [
        result(cell, letter, error)
        for trajectory, word in zip(trajectories, letters, strict=True)
        for cell, letter in zip(trajectory, word, strict=False)
    ]
    for one in results:
        terminal.cell_finished(one)
    terminal.session_finished(session, results)
    return capsys.readouterr().out.splitlines()


def test_a_trajectory_is_a_line_once_nothing_is_left_to_measure(capsys: pytest.CaptureFixture[str]) -> None:
    lines = told(capsys, "..F", "F", "E.F", "...")
    assert lines[1] == "collected 12 cells (1 task, 4 pruners, 3 levels, 1 seed)"
    assert lines[3:7] == [
        "t::p0 seed0 ..F (0.36, 0.488]",
        "t::p1 seed0 F (-, 0.2]",
        "t::p2 seed0 E.F (0.36, 0.488]",
        "t::p3 seed0 ... none up to 0.488",
    ]


def test_a_trajectory_that_was_cut_off_is_shown_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    assert "t::p0 seed0 . none up to 0.2" in told(capsys, ".")


def test_verbose_is_a_line_for_each_cell(capsys: pytest.CaptureFixture[str]) -> None:
    lines = told(capsys, ".EF", verbose=1)
    assert lines[3:6] == [
        "t::p0[0.2,seed0] PASS 0.5 (dense 0.75) 0.2 s",
        "t::p0[0.36,seed0] ERROR odd",
        "t::p0[0.488,seed0] FAIL 0.5 (dense 0.75) 0.2 s",
    ]


def test_quiet_leaves_the_table_and_the_summary(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [line for line in told(capsys, "..F", quiet=1) if line.strip()]
    assert lines[0] == "first fail: (last pass, first fail]"
    assert lines[-1].startswith("2 passed, 1 failed in ")
    assert len(lines) == 6


def test_twice_quiet_leaves_the_summary(capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = told(capsys, "..F", quiet=2)
    assert re.fullmatch(r"2 passed, 1 failed in \d+\.\d s", line)


@pytest.mark.parametrize("quiet", [0, 1, 2])
def test_problems_and_errors_are_told_however_quiet(capsys: pytest.CaptureFixture[str], quiet: int) -> None:
    lines = told(capsys, "E..", quiet=quiet, broken=True)
    assert "PROBLEM mine.py: odd" in lines
    assert "ERROR t::p0[0.2,seed0]: odd" in lines
    assert ("noticed" in lines) is (quiet == 0)


def test_what_went_wrong_can_be_run_again(capsys: pytest.CaptureFixture[str]) -> None:
    again = "the same command with --lf runs only the 2 cells that failed or ended in error"
    assert again in told(capsys, ".EF")
    assert again in told(capsys, "..F", "..F", strict=True)
    for letters in ("..F", "..."):
        assert not any("--lf" in line for line in told(capsys, letters))  # a result, and nothing went wrong
    for options in ({"quiet": 2}, {"letters": "EE"}):
        assert not any("--lf" in line for line in told(capsys, options.pop("letters", "E.."), **options))


def test_the_slowest_cells_of_this_run_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    lines = told(capsys, "..F", "E..", durations=2, quiet=2)
    assert lines[:3] == ["ERROR t::p1[0.2,seed0]: odd", "", "slowest 2 of 5 cells that this run computed"]
    assert "     0.25 s  t::p0[0.2,seed0]" in lines
    assert "this run computed no cell" in told(capsys, "EEE", durations=2)


@pytest.mark.parametrize("width", [20, 60, 200])
def test_a_screen_of_any_width_has_all_of_it(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines are left to the terminal to fold, so that what is copied from it is whole; tables fold themselves."""
    screen = SimpleNamespace(options=SimpleNamespace(json=None))
    monkeypatch.setattr("sys.stdout", Screen())
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("NO_COLOR", "1")
    console = new_console(screen.options)
    cells = [Cell(f"task-{i}", LONG[:30], 0.2, 0, "after") for i in range(4)]
    results = [result(cell, "F") for cell in cells] + [result(Cell("task-0", "p", 0.2, 0, "after"), "E")]
    denses = {(cell.task, 0): SimpleNamespace(unit="", measurement=None) for cell in cells}
    run: Any = SimpleNamespace(denses=denses, interrupted=False, search=Search("grid", None))
    closing(console, run, results)
    text = sys.stdout.getvalue()  # type: ignore[attr-defined]
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", text)
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert "ERROR task-0::p[0.2,seed0]: odd" in text
    table = [line for line in text.splitlines() if line.startswith(" ") and line.strip()]
    assert all(len(line) <= width for line in table)
    joined = "".join(char for line in table for char in line if not char.isspace())
    assert all(cell.task in joined or width == 20 for cell in cells)


@pytest.mark.parametrize(("name", "colour"), [("NO_COLOR", False), ("X", True)])
def test_colour_is_for_screens_that_want_it(name: str, colour: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    for other in ("NO_COLOR", "FORCE_COLOR", "COLORTERM"):
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv(name, "1")
    monkeypatch.setattr("sys.stdout", Screen())
    new_console(SimpleNamespace(json=None)).print("text", style="red")  # type: ignore[arg-type]
    assert ("\x1b[31m" in sys.stdout.getvalue()) is colour  # type: ignore[attr-defined]


def test_what_is_piped_has_no_colour(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    assert "\x1b" not in "".join(told(capsys, "E.F", verbose=1))


def test_nothing_is_folded_or_cut_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("FORCE_COLOR", "1")  # as in many a CI, whose log is no screen all the same
    text = "\n".join(told(capsys, "E.F", task=LONG))
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert "\x1b[?25l" not in text
    assert f"{LONG}::p0 seed0 E.F (0.36, 0.488]" in plain
    assert f"ERROR {LONG}::p0[0.2,seed0]: odd" in plain
    assert "…" not in plain
    assert any(re.search(rf"pruner +phase +{LONG}", line) for line in plain.splitlines())


def test_without_cells_it_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert "no cells: nothing to run" in told(capsys)


def test_markup_and_emoji_in_names_are_text(capsys: pytest.CaptureFixture[str]) -> None:
    lines = told(capsys, "..F", task="[red]x:bug:[/red]\n")
    assert "[red]x:bug:[/red]\\n::p0 seed0 ..F (0.36, 0.488]" in lines


@pytest.mark.parametrize("verbose", [0, 1])
def test_what_an_error_says_does_not_steer_the_terminal(capsys: pytest.CaptureFixture[str], verbose: int) -> None:
    lines = told(capsys, "E.", error="\x1b[2J\u202eodd", verbose=verbose)
    assert "\x1b[2J" not in "".join(lines) and "\u202e" not in "".join(lines)
    assert any("\\x1b[2J\\u202eodd" in line for line in lines)


def test_the_live_part_counts_what_is_settled_and_shows_what_runs() -> None:
    cells = [Cell("t", pruner, level, 0) for pruner in ("p\n", "q") for level in (0.2, 0.36)]
    pruners = {name: plugin("pruner", name, SimpleNamespace()) for name in ("p\n", "q")}
    collection = Collection(Catalogue(), {}, pruners, cells)
    session = Session(config(), collection, Path("store"), running={"t::q seed0": Progress("train", 3, 9)})
    live = LiveView(session)
    live.started(cells[2])
    live.finished(result(cells[0], "F"))
    stream = io.StringIO()
    Console(file=stream, width=80).print(live)
    first, second = stream.getvalue().splitlines()
    assert first.startswith("2 of 4 cells settled")  # the fail settles the level above, too
    assert second.startswith("t::q seed0 0.2")
    assert second.rstrip().endswith("train")


def test_a_real_run_and_its_repetition(command: Callable[..., Ran], workshop: Workshop) -> None:
    workshop.toy()
    workshop.write("plugins/long.py", PRUNER.format(name=LONG, phase="after"))
    words = ("--collect", "plugins", "--levels", "0.2,0.99", "-n", "0")
    first = command(*words)
    assert (first.code, first.err) == (0, "")
    lines = first.out.splitlines()
    assert lines[0].startswith("smc-harness ")
    assert lines[1] == "collected 2 cells (1 task, 1 pruner, 2 levels, 1 seed)"
    assert lines[3] == f"toy::{LONG} seed0 .F (0.2, 0.99]"
    assert any(re.match(rf" {LONG} +after +\(0\.2, 0\.99\] \?", line) for line in lines)
    again = command(*words).out.splitlines()
    assert again[3] == f"toy::{LONG} seed0 .F (0.2, 0.99] cached"
    assert re.fullmatch(r"1 passed, 1 failed in \d+\.\d s \(2 from the store\)", again[-1])
    assert len(command(*words, "-qq").out.splitlines()) == 1
    assert f"toy::{LONG}[0.99,seed0] FAIL" in command(*words, "-v").out


def test_a_device_and_a_precision_that_are_not_the_usual_ones_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    device = Device("cuda", ("0", "1"))
    assert (
        ", device cuda (2 GPUs), precision bfloat16, store store"
        in told(capsys, ".", device=device, precision="bfloat16")[0]
    )
    assert "session seed 0, store store" in told(capsys, ".")[0]
