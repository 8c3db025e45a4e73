"""Follows the tutorial to the letter: `python -m docs.follow` puts into it what comes out, in some minutes."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from smc_harness.cli import COMMANDS

PAGE = Path(__file__).parent / "tutorial" / "first_pruner.md"
FILES = {"python": "row_magnitude.py", "toml": "pyproject.toml"}
"""Which file a block of that language is."""

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```\n", re.MULTILINE | re.DOTALL)


def steps() -> list[tuple[str, str]]:
    """(language, text) of what is typed and of what comes out, in order; without the installation."""
    found = _BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    return [(language, block) for language, block in found if language != "ini" and "pip install" not in block]


def follow(folder: Path, collect_only: bool = False) -> Iterator[tuple[str, str]]:
    """Do what is written; (what is shown, what came out) of every command. collect_only: of runs, and only that."""
    blocks = steps()
    for (language, block), (_, shown) in zip(blocks, [*blocks[1:], ("", "")], strict=True):
        if language in FILES:
            folder.joinpath(FILES[language]).write_text(block, encoding="utf-8")
        elif language == "sh":
            words = shlex.split(block)[1:]
            if not collect_only:
                yield shown, _run(folder, words)
            elif words[0] not in COMMANDS:
                yield shown, _run(folder, [*words, "--collect-only"])


def _run(folder: Path, words: list[str]) -> str:
    """What the command says in that folder. Raises CalledProcessError where it fails."""
    command = [sys.executable, "-m", "smc_harness", *words]
    variables = os.environ | {"GITHUB_ACTIONS": ""}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=variables, check=False)
    if done.returncode:
        print(done.stdout, done.stderr, sep="\n", file=sys.stderr)
        done.check_returncode()
    return "".join(f"{line.rstrip()}\n" for line in done.stdout.strip("\n").splitlines())


def refresh() -> None:
    """Put what comes out of every command into the page."""
    with tempfile.TemporaryDirectory() as folder:
        came = iter([output for _, output in follow(Path(folder))])
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(
        _BLOCK.sub(lambda block: f"```text\n{next(came)}```\n" if block[1] == "text" else block[0], text),
        encoding="utf-8",
    )


if __name__ == "__main__":
    refresh()
