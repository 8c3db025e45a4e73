from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable

import pytest

from smc_harness.cli.sessions import file_reports
from smc_harness.errors import UsageError
from smc_harness.report.files import takes_stdout
from tests.workshop import Ran, Workshop

Command = Callable[..., Ran]
ONE = ("--tasks", "commonsense-mini", "--pruners", "snip", "--levels", "0.5", "--co")
REMOVER = """
import shutil
from smc_harness import hookimpl
name = "remover"

@hookimpl
def cell_finished(result):
    shutil.rmtree("gone")
"""
NAMES = [report.name for report in file_reports()]


@pytest.mark.parametrize("name", NAMES)
def test_a_place_that_cannot_be_written_is_refused_before_the_run(command: Command, name: str) -> None:
    ran = command(*ONE, f"--{name}", "nowhere/f")
    assert (ran.code, ran.out, ran.err.count("\n")) == (4, "", 1)
    assert ran.err.startswith(f"smc-harness: --{name} nowhere/f: ")


@pytest.mark.parametrize("name", NAMES)
def test_a_report_can_be_left_out(command: Command, name: str) -> None:
    assert f"unknown option --{name}" in command(*ONE, "-p", f"no:{name}", f"--{name}", "f").err


def test_what_is_no_text_does_not_go_to_standard_output(command: Command) -> None:
    assert command(*ONE, "--parquet", "-").err == (
        "smc-harness: --parquet -: a file in a folder that exists would work\n"
    )


def test_only_one_report_can_go_to_standard_output() -> None:
    assert takes_stdout(Namespace(json="-", csv="f"))
    assert not takes_stdout(Namespace(json="f", csv=None))
    with pytest.raises(UsageError, match="--json - and --csv -: one of them to a file would work"):
        takes_stdout(Namespace(json="-", csv="-"))


def test_a_report_on_standard_output_stands_alone(command: Command, workshop: Workshop) -> None:
    workshop.toy()
    workshop.pruner("mine")
    words = ("--collect", "plugins", "--levels", "0.2", "-n", "0")
    ran = command(*words, "--csv", "-")
    assert [line.split(",")[0] for line in ran.out.splitlines()] == ["id", '"toy::mine[0.2']
    assert "1 passed" in ran.err
    again = command("report", "1", "--csv", "-")
    assert (again.out, again.err) == (ran.out, "")


def test_a_saved_run_gives_the_files_that_the_run_gave(command: Command, workshop: Workshop) -> None:
    workshop.toy()
    workshop.pruner("mine")
    given = [word for name in ("markdown", "latex", "csv") for word in (f"--{name}", name)]
    assert command("--collect", "plugins", "--levels", "0.2,0.99", "-n", "0", *given).code == 0
    first = {name: (workshop.folder / name).read_text() for name in ("markdown", "latex", "csv")}
    ran = command("report", "1", *given)
    assert (ran.code, ran.err) == (0, "") and "first fail" in ran.out
    assert first == {name: (workshop.folder / name).read_text() for name in first}


def test_a_report_that_cannot_be_written_in_the_end_costs_no_other(command: Command, workshop: Workshop) -> None:
    workshop.toy()
    workshop.pruner("mine")
    workshop.write("gone/other.txt", "")
    workshop.write("plugins/remover.py", REMOVER)
    words = ("--collect", "plugins", "--levels", "0.2", "-n", "0", "--csv", "gone/f.csv", "--json", "kept.json")
    ran = command(*words)
    assert (ran.code, ran.err) == (4, "smc-harness: --csv gone/f.csv: No such file or directory\n")
    assert "1 passed" in ran.out
    assert (workshop.folder / "kept.json").is_file()
