from __future__ import annotations

import json
import shutil
from collections.abc import Callable

import pytest

from smc_harness.store import folder
from smc_harness.store.results import Results
from tests.cli.test_main import HEAVY, imports_of
from tests.workshop import ROOT, Ran, Workshop

Command = Callable[..., Ran]
RUN = "mawps-gts.json"
WORDS = (
    *("--collect", "plugins", "--levels", "0.2,0.99", "-n", "0", "--tolerance", "0.3"),
    *("--json", "run.json"),
)
CURVES = "task,pruner,level,value\ntoy,dense,0,0.9\ntoy,mine,0.2,0.9\ntoy,mine,0.5,0.1\n"


@pytest.fixture
def study(workshop: Workshop) -> Workshop:
    """A folder with the JSON of a real run."""
    shutil.copy(ROOT / "docs/results/mawps-gts.json", workshop.folder / RUN)
    return workshop


@pytest.fixture
def toy(workshop: Workshop, command: Command) -> Workshop:
    """A folder with the JSON of a run of a task that has a published curve."""
    path = workshop.toy()
    path.write_text(path.read_text() + "\npublished_curves = 'curves.csv'\n")
    workshop.write("plugins/curves.csv", CURVES)
    workshop.pruner("mine")
    (workshop.folder / "told.txt").write_text(command(*WORDS).out)
    return workshop


def test_a_saved_run_is_reported_as_it_was(command: Command, toy: Workshop) -> None:
    told = (toy.folder / "told.txt").read_text()
    ran = command("report", "run.json")
    assert (ran.code, ran.err) == (0, "")
    *lines, summary = ran.out.splitlines()
    assert len(lines) > 6
    assert "\n".join(lines) in told
    assert told.splitlines()[-1].startswith(f"{summary} in ")


def test_a_session_of_the_store_is_reported_by_its_number(command: Command, toy: Workshop) -> None:
    assert command("report", "1") == command("report", "run.json")
    assert command("report", "1", "--store", ".smc-harness", "--published", "--collect", "plugins").code == 0


def test_a_session_that_did_not_end_says_how_to_go_on(command: Command, workshop: Workshop) -> None:
    results = Results(folder.prepare(workshop.folder / "kept"))
    results.begin_session("smc-harness --pruners snip")
    results.close()
    ran = command("report", "1", "--store", "kept")
    assert ran.code == 4
    assert "session 1 of kept did not end, or without the json plugin: run smc-harness --pruners snip again" in ran.err


def test_a_run_is_put_beside_what_was_published_of_its_tasks(command: Command, toy: Workshop) -> None:
    ran = command("report", "run.json", "--published", "--collect", "plugins")
    assert ran.code == 0
    assert "a drop of more than 30 % of dense fails" in ran.out
    assert "(0.2, 0.5]" in ran.out


def test_another_tolerance_judges_both_anew(command: Command, toy: Workshop) -> None:
    words = ("report", "run.json", "--published", "--collect", "plugins", "--json", "-", "--tolerance", "0.9")
    found = json.loads(command(*words).out)
    assert found["tasks"]["toy"]["tolerance"] == "0.9"
    (curve,) = found["tasks"]["toy"]["curves"]
    assert curve["published_first_fail"] == {"last_pass": 0.5, "first_fail": None, "monotone": True}


def test_the_papers_curves_are_installed_with_its_tasks(command: Command, study: Workshop) -> None:
    text = command("report", RUN, "--published").out
    assert "dense 84.38 % here, 88.49 % published" in text
    assert "nothing published: obert" in text
    assert "other than published: recipe=laptop (published: paper), encoder=scratch (published: roberta-base)" in text


def test_the_joined_data_go_to_a_file_beside_the_tables(command: Command, study: Workshop) -> None:
    ran = command("report", RUN, "--published", "--json", "joined.json")
    assert "88.49 % published" in ran.out
    found = json.loads((study.folder / "joined.json").read_text())
    assert set(found) == {"schema", "tasks"}
    assert found["tasks"]["mawps-gts"]["published_dense"]["value"] == 0.8849


@pytest.mark.parametrize("words", [[], ["--published"], ["--published", "--json", "-"]], ids=" ".join)
def test_no_model_library_is_imported(study: Workshop, words: list[str]) -> None:
    done, imported = imports_of("report", RUN, *words, folder=study.folder)
    assert done.returncode == 0
    assert imported & HEAVY <= {"rich"}


def test_a_run_of_unpublished_tasks_has_nothing_to_show(command: Command, workshop: Workshop) -> None:
    workshop.toy()
    workshop.pruner("mine")
    command(*WORDS)
    ran = command("report", "run.json", "--published", "--collect", "plugins")
    assert (ran.code, ran.out) == (5, "")
    assert ran.err == "nothing was published of the tasks of this run: toy\n"


def test_a_run_without_cells_is_said_to_have_none(command: Command, study: Workshop) -> None:
    found = json.loads((study.folder / RUN).read_text())
    (study.folder / RUN).write_text(json.dumps(found | {"cells": [], "first_fail": [], "tasks": {}}))
    assert command("report", RUN) == Ran(5, "", "no cells\n")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "the following arguments are required: RUN"),
        (["nowhere.json"], "nowhere.json: No such file or directory; a file that --json wrote would work"),
        (["curves.csv"], "curves.csv: Expecting value: line 1 column 1 (char 0)"),
        (["7"], "--store .smc-harness: no results there; a folder that an earlier run used would work"),
        (["7" * 300], "File name too long"),
        ([RUN, "--json", "-"], "--json goes with --published"),
        ([RUN, "--tolerance", "0.05"], "--tolerance goes with --published"),
        ([RUN, "--published", "--tolerance", "2"], "'2' given; a share of dense such as 0.01, or an amount"),
        ([RUN, "--publshed"], "unknown option --publshed; did you mean '--published'?"),
        ([RUN, "--published", "--collect", "nowhere"], "--collect nowhere: no such file or folder"),
        ([RUN, "--published", "--json", "no/where"], "--json no/where: No such file or directory"),
    ],
)
def test_bad_input_is_one_line(command: Command, study: Workshop, words: list[str], expected: str) -> None:
    study.write("curves.csv", CURVES)
    ran = command("report", *words)
    assert (ran.code, ran.err.count("\n")) == (4, 1)
    assert expected in ran.err


def test_a_session_that_is_not_there_is_named(command: Command, toy: Workshop) -> None:
    ran = command("report", "7")
    assert (ran.code, ran.out) == (4, "")
    assert "7: no such file, and no such session in .smc-harness; one that `list runs` names would work" in ran.err


def test_a_task_that_is_not_here_is_named_with_the_remedy(command: Command, toy: Workshop) -> None:
    ran = command("report", "run.json", "--published")
    assert (ran.code, ran.out) == (4, "")
    assert "task toy is not installed here; --collect with the place of its plugin would work" in ran.err
