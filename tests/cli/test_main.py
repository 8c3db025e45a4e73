"""The front door: subcommands, exit codes, one-line errors, and what is not imported."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from smc_harness import __version__, cli
from smc_harness.errors import ExitCode, UsageError
from tests.workshop import ROOT, Ran, Workshop

Command = Callable[..., Ran]
HEAVY = {"torch", "pandas", "transformers", "datasets", "numpy", "sacrebleu", "safetensors", "rich"}


def process(*words: str, folder: Path, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words, cwd=folder, capture_output=True, text=True, env=os.environ | (environment or {}), timeout=60
    )


def imports_of(*words: str, folder: Path) -> tuple[subprocess.CompletedProcess[str], set[str]]:
    """The command line in a process of its own, and the top-level modules that it imported."""
    done = process(sys.executable, "-X", "importtime", "-m", "smc_harness", *words, folder=folder)
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return done, {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["--version"],
        ["list", "pruners"],
        ["list", "tasks"],
        ["list", "plugins"],
        ["--collect-only"],
        ["--collect-only", "--json", "-"],
        ["--collect-only", "--collect", str(ROOT / "plugins")],
        ["--collect-only", "--collect", str(ROOT / "tasks")],
        ["new", "pruner", "mine"],
        ["--colect"],
    ],
    ids=" ".join,
)
def test_what_runs_no_model_imports_nothing_heavy(words: list[str], tmp_path: Path) -> None:
    done, imported = imports_of(*words, folder=tmp_path)
    assert done.returncode == (4 if words == ["--colect"] else 0)
    assert "smc_harness" in imported
    assert imported & HEAVY == set()


@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_a_run_that_finds_everything_in_the_store_does_without_torch(workshop: Workshop, device: str) -> None:
    workshop.toy()
    workshop.pruner("mine")
    words = ("--collect", "plugins", "--levels", "0.5", "--device", device)
    assert workshop.run(*words, "-n", "0").code == 0
    done, imported = imports_of(*words, folder=workshop.folder)
    assert "(1 from the store)" in done.stdout
    assert "torch" not in imported


def test_version_and_help_are_shown(command: Command) -> None:
    assert command("--version") == Ran(0, f"smc-harness {__version__}\n", "")
    done = command("--help")
    assert done.code == 0
    for word in ("--collect", "--json", "--tolerance", "-k", "exit codes:"):
        assert word in done.out


def test_run_is_the_default_command(command: Command) -> None:
    words = ("--collect-only", "--levels", "0.5")
    assert command("run", *words) == command(*words)


@pytest.mark.parametrize("words", [["-v", "list"], ["run", "list"], ["--collect-only", "run"]])
def test_a_subcommand_elsewhere_than_first_is_a_usage_error(command: Command, words: list[str]) -> None:
    done = command(*words)
    assert (done.code, done.out) == (4, "")
    assert done.err == f"smc-harness: {words[-1]}: a subcommand is the first word, as in smc-harness {words[-1]}\n"


def test_a_value_may_be_called_like_a_subcommand(command: Command) -> None:
    assert command("--store", "run", "--collect-only", "-k", "list or snip").code == 0


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (UsageError("this\nand that"), 4, "smc-harness: this and that"),
        (KeyboardInterrupt(), 2, "smc-harness: interrupted"),
        (
            ValueError("odd\nthing"),
            3,
            "smc-harness: internal error: ValueError: odd thing (--debug shows the traceback)",
        ),
        (ZeroDivisionError(), 3, "smc-harness: internal error: ZeroDivisionError (--debug shows the traceback)"),
    ],
)
def test_whatever_goes_wrong_is_one_line_and_an_exit_code(
    command: Command, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, line: str
) -> None:
    def run(name: str, rest: object) -> int:
        raise error

    monkeypatch.setattr(cli, "_run", run)
    assert command() == Ran(code, "", line + "\n")


def test_debug_shows_the_traceback_of_an_internal_error(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "_run", lambda name, rest: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        command("--debug")


def test_the_exit_codes_are_the_documented_ones() -> None:
    assert [(code.name, code.value) for code in ExitCode] == [
        ("DONE", 0),
        ("REGRESSION", 1),
        ("INTERRUPTED", 2),
        ("INTERNAL", 3),
        ("USAGE", 4),
        ("NOTHING", 5),
        ("CELL_ERROR", 6),
        ("PLUGIN", 7),
    ]


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    running = subprocess.Popen(
        [sys.executable, "-m", "smc_harness", "--collect-only"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stdout is not None
    assert running.stderr is not None
    running.stdout.close()
    with running.stderr:
        assert running.stderr.read() == ""
    assert running.wait(60) == 0


def test_a_name_that_the_terminal_cannot_show_is_escaped(workshop: Workshop) -> None:
    workshop.toy()
    workshop.pruner("größer")
    done = process(
        sys.executable,
        "-m",
        "smc_harness",
        "--collect",
        "plugins",
        "--collect-only",
        folder=workshop.folder,
        environment={"PYTHONIOENCODING": "ascii"},
    )
    assert done.returncode == 0
    assert "toy::gr\\xf6\\xdfer[0.2,seed0]" in done.stdout
