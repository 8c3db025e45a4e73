from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from smc_harness.errors import UsageError
from smc_harness.report import html_file
from tests.cli.test_main import imports_of
from tests.workshop import Ran, Workshop

Command = Callable[..., Ran]
WORDS = ("--collect", "plugins", "--levels", "0.2,0.99", "-n", "0", "--tolerance", "0.3")
CURVES = "task,pruner,level,value\ntoy,dense,0,0.9\ntoy,mine,0.2,0.4321\n"


@pytest.fixture
def toy(workshop: Workshop) -> Workshop:
    path = workshop.toy()
    path.write_text(path.read_text() + "\npublished_curves = 'curves.csv'\n")
    workshop.write("plugins/curves.csv", CURVES)
    workshop.pruner("mine")
    return workshop


def config(target: str | None) -> Any:
    return SimpleNamespace(options=SimpleNamespace(html=target))


@pytest.mark.parametrize("target", ["", ".", "nowhere/f.html", "/"])
def test_a_place_that_cannot_be_written_is_refused_before_the_run(
    target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="a file in a folder that exists would work"):
        html_file.configure(config(target))


def test_what_a_page_is_made_with_is_named_where_it_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(html_file, "find_spec", lambda name: None if name == "vl_convert" else object())
    with pytest.raises(
        UsageError, match=r"vl-convert-python is not installed; pip install 'smc-harness\[html\]' would"
    ):
        html_file.configure(config("f.html"))
    html_file.configure(config(None))


def test_a_run_and_its_saved_file_give_the_same_page(command: Command, toy: Workshop) -> None:
    assert command(*WORDS, "--html", "run.html", "--json", "run.json").code == 0
    page = (toy.folder / "run.html").read_text()
    assert "0.4321" in page
    assert command("report", "run.json", "--html", "again.html", "--collect", "plugins").code == 0
    assert (toy.folder / "again.html").read_text() == page
    assert command("report", "1", "--html", "without.html").code == 0
    assert "0.4321" not in (toy.folder / "without.html").read_text()


def test_the_page_can_be_left_out_and_costs_nothing_where_it_is_not_asked_for(toy: Workshop) -> None:
    done, imported = imports_of(*WORDS, folder=toy.folder)
    assert done.returncode == 0
    assert "vl_convert" not in imported
    assert toy.run(*WORDS, "-p", "no:html", "--html", "run.html").code == 4


def test_a_curve_that_cannot_be_read_does_not_cost_the_page(command: Command, toy: Workshop) -> None:
    toy.write("plugins/curves.csv", "task,pruner\n")
    ran = command(*WORDS, "--html", "run.html")
    assert ran.code == 0
    assert "has no column 'level'; the page goes without its published curves" in ran.err
    assert (toy.folder / "run.html").exists()


def test_a_run_without_cells_has_a_page(command: Command, toy: Workshop) -> None:
    assert command(*WORDS, "-k", "nothing", "--html", "run.html").code == 5
    assert "This run has no cells" in (toy.folder / "run.html").read_text()


def test_a_page_that_cannot_be_written_is_one_line(command: Command, toy: Workshop) -> None:
    command(*WORDS, "--json", "run.json")
    ran = command("report", "run.json", "--html", "no/where.html")
    assert (ran.code, ran.err.count("\n")) == (4, 1)
    assert "--html no/where.html: a file in a folder that exists would work" in ran.err
