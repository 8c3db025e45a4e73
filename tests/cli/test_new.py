from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from smc_harness.scaffold.names import names
from smc_harness.scaffold.write import contents
from tests.workshop import Ran, Workshop

Command = Callable[..., Ran]


def files(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("kind", ["pruner", "task"])
def test_a_distribution_is_written_into_a_folder_of_its_name(command: Command, workshop: Workshop, kind: str) -> None:
    ran = command("new", kind, "mine")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == f"smc-{kind}-mine: the {kind} mine; its README.md says how to go on\n"
    assert files(workshop.folder / f"smc-{kind}-mine") == contents(names(kind, "mine"))


def test_the_folder_is_made_where_into_says(command: Command, workshop: Workshop) -> None:
    assert command("new", "task", "mine", "--into", "far/away").code == 0
    assert (workshop.folder / "far/away/smc-task-mine/pyproject.toml").is_file()


def test_what_is_there_is_not_written_over(command: Command, workshop: Workshop) -> None:
    workshop.write("smc-pruner-mine/README.md", "precious")
    ran = command("new", "pruner", "mine")
    assert (ran.code, ran.out) == (4, "")
    assert ran.err == "smc-harness: smc-pruner-mine exists already; another name, or another --into, would work\n"
    assert files(workshop.folder / "smc-pruner-mine") == {"README.md": "precious"}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "the following arguments are required: kind, NAME"),
        (["prunner", "mine"], "invalid choice: 'prunner' (choose from 'pruner', 'task')"),
        (["pruner", "My_Idea"], "'My_Idea': words of small letters and digits, joined by hyphens, such as my-idea,"),
        (["pruner", "../mine"], "'../mine': words of small letters and digits, joined by hyphens, such as mine, would"),
        (["task", "ü"], "'ü': words of small letters and digits, joined by hyphens, such as my-idea, would work"),
        (["pruner", "smc-pruner-mine"], "'smc-pruner-mine': smc-pruner- is put before it; mine would work"),
        (["pruner", "snip"], "a pruner named 'snip' is installed already (entry point smc_pruners.snip:snip), and"),
        (["task", "mine", "--into", "file"], "file/smc-task-mine: Not a directory; --into a folder that can be"),
    ],
)
def test_bad_input_is_one_line(command: Command, workshop: Workshop, words: list[str], expected: str) -> None:
    workshop.write("file", "")
    ran = command("new", *words)
    assert (ran.code, ran.out, ran.err.count("\n")) == (4, "", 1)
    assert expected in ran.err
    assert files(workshop.folder) == {"file": ""}


def test_a_task_may_have_the_name_of_a_pruner(command: Command) -> None:
    assert command("new", "task", "snip").code == 0
