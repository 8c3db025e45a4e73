"""The tutorial is followed to the letter, in an empty folder."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from smc_harness.cli import COMMANDS
from tests.workshop import ROOT

PAGE = ROOT / "docs/tutorial/first_pruner.md"
FILES = {"python": "row_magnitude.py", "toml": "pyproject.toml"}


def steps() -> list[tuple[str, str]]:
    """(language, text) of what is typed and of what comes out, in order; without the installation."""
    text = PAGE.read_text(encoding="utf-8")
    found = re.findall(r"^```(\w+)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert [language for language, block in found if "pip install" in block] == ["sh"]
    return [(language, block) for language, block in found if "pip install" not in block]


def shape(output: str) -> list[str]:
    """The lines without what differs by machine and by load: numbers, and in which order cells were done."""
    lines = (re.sub(r"-?\d[\d.]*( \d{3})?", "#", line).rstrip() for line in output.splitlines())
    return sorted(re.sub(r" \?$|\+cpu| in # s|─+", "", line) for line in lines if line)


def intervals(output: str) -> list[str]:
    """The rows of the table of first fails."""
    return re.findall(r"^ (\S+ +after +.*?)(?: \?)? *$", output, re.MULTILINE)


def follow(folder: Path, collect_only: bool = False) -> list[tuple[str, str]]:
    """Do what is written; (what is shown, what came out) of every command. collect_only: of runs, and only that."""
    ran = []
    blocks = steps()
    for (language, block), (_, shown) in zip(blocks, [*blocks[1:], ("", "")], strict=True):
        if language in FILES:
            folder.joinpath(FILES[language]).write_text(block)
        elif language == "sh":
            for line in block.splitlines():
                program, *words = shlex.split(line)
                assert program == "smc-harness"
                if collect_only and words[0] in COMMANDS:
                    continue
                done = subprocess.run(
                    [sys.executable, "-m", "smc_harness", *words, *["--collect-only"] * collect_only],
                    cwd=folder,
                    capture_output=True,
                    text=True,
                    env=os.environ | {"GITHUB_ACTIONS": ""},
                    timeout=280,
                    check=False,
                )
                assert done.returncode == 0, done.stdout + done.stderr
                ran.append((shown, done.stdout))
    return ran


def test_every_step_of_the_tutorial_is_understood(tmp_path: Path) -> None:
    """By the command line, with the files that are there at that point."""
    counts = [re.findall(r"\b(\d+) cells", collected)[-1] for _, collected in follow(tmp_path, collect_only=True)]
    assert counts == re.findall(r"^collected (\d+) cells", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_tutorial_ends_as_it_says(tmp_path: Path) -> None:
    ran = follow(tmp_path)
    assert sum(bool(intervals(shown)) for shown, _ in ran) > 5
    for shown, came in ran:
        assert shape(came) == shape(shown)
        assert intervals(came) == intervals(shown)
    assert (tmp_path / "page.html").stat().st_size > 100_000
