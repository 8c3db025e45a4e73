"""What README and docs show is run as it stands."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import numpy
import pytest
from safetensors.numpy import save_file

from docs import study
from docs.generate import PRUNERS, TASKS, pruners, tasks
from tests.workshop import ROOT, Ran, Workshop

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def shell_commands() -> list[str]:
    text = "\n".join(block for page in PAGES for block in blocks(page, "sh")).replace("\\\n", " ")
    return [line.partition(" #")[0].strip() for line in text.splitlines() if line.startswith("smc-harness ")]


def test_the_one_file_pruner_of_the_readme_runs_from_outside_the_repository(workshop: Workshop) -> None:
    (source,) = blocks(ROOT / "README.md", "python")
    assert len(source.strip().splitlines()) < 15
    workshop.write("elsewhere/sqrt_magnitude.py", source)
    workshop.write("tasks/toy.py", workshop.toy().read_text())
    ran = workshop.run(
        *["--collect", "elsewhere/sqrt_magnitude.py", "--collect", "tasks", "--levels", "0.2,0.5", "--search", "grid"]
    )
    assert ran.code == 0, ran.out + ran.err
    assert [cell["value"] is not None for cell in ran.cells().values()] == [True, True]


@pytest.mark.parametrize("line", shell_commands())
def test_every_command_shown_is_understood(line: str, command: Callable[..., Ran], workshop: Workshop) -> None:
    (source,) = blocks(ROOT / "README.md", "python")
    workshop.write("sqrt_magnitude.py", source)
    (workshop.folder / "plugins").symlink_to(ROOT / "plugins")
    (workshop.folder / "SPARSE").mkdir()
    save_file({"weight": numpy.eye(2)}, workshop.folder / "SPARSE" / "model.safetensors")
    for name in ("results.json", "earlier.json"):
        (workshop.folder / name).symlink_to(ROOT / "docs/results/mawps-gts.json")
    words = shlex.split(line)[1:]
    ran = command(*words, *([] if words[0] in ("list", "report", "compare") else ["--collect-only"]))
    assert ran.code == 0, ran.err


def test_the_page_on_pruners_is_what_the_plugins_say() -> None:
    assert PRUNERS.read_text(encoding="utf-8") == pruners(), "python -m docs.generate writes it anew"


def test_the_page_on_tasks_is_what_the_plugins_say() -> None:
    assert TASKS.read_text(encoding="utf-8") == tasks(), "python -m docs.generate writes it anew"


def test_the_page_on_the_arithmetic_study_is_what_its_files_say() -> None:
    assert study.PAGE.read_text(encoding="utf-8") == study.page(), "python -m docs.generate writes it anew"


def test_links_between_pages_lead_somewhere() -> None:
    for page in [*PAGES, ROOT / "CONTRIBUTING.md"]:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"
