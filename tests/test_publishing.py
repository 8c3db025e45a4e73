"""The page on publishing a plugin: what it shows is done, literally."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from smc_harness.scaffold.names import names
from smc_harness.scaffold.write import contents, write
from tests.distributions import with_the_harness
from tests.workshop import ROOT, Ran, Workshop

PAGE = ROOT / "docs/how-to/publish.md"
PLUGINS = [("pruner", "my-idea"), ("task", "my-task")]


class Shown(NamedTuple):
    """A command, and the lines of its output that the page shows; the others are `...`."""

    command: str
    lines: list[str]


def shown() -> list[Shown]:
    found: list[Shown] = []
    for block in re.findall(r"^```console\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append(Shown(line.removeprefix("$ "), []))
            elif line.strip() not in ("", "..."):
                found[-1].lines.append(line)
    return found


@pytest.mark.parametrize(("kind", "name"), PLUGINS)
def test_the_page_shows_every_command_of_a_scaffold_s_readme(kind: str, name: str) -> None:
    readme = contents(names(kind, name))["README.md"]
    commands = "".join(re.findall(r"^```sh\n(.*?)^```", readme, re.M | re.S)).splitlines()
    assert len(commands) >= 10
    assert set(commands) <= {command for command, _ in shown()}


RUNS = dict.fromkeys(command for command, _ in shown() if re.match("smc-harness (-|list)", command))


@pytest.mark.parametrize("line", RUNS)
def test_every_run_shown_is_understood(line: str, command: Callable[..., Ran], workshop: Workshop) -> None:
    for kind, name in PLUGINS:
        write(names(kind, name), workshop.folder)
    words = shlex.split(line)[1:]
    collect = ["--collect", "smc-pruner-my-idea/src", "--collect", "smc-task-my-task/src"]
    ran = command(*words, *collect, *([] if words[0] == "list" else ["--collect-only"]))
    assert ran.code == 0, ran.err
    assert re.search("my-(idea|task)", ran.out)


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_all_of_the_page_is_done_in_a_fresh_environment(tmp_path: Path) -> None:
    """Times, counts and first fails are not compared: they are of one machine."""
    environment = with_the_harness(tmp_path / "harness")
    start = tmp_path / "start"
    start.mkdir()
    folder = start
    for text, lines in shown():
        if text.startswith("cd "):
            folder = folder / text.removeprefix("cd ")
            continue
        # what builds is in our environment already: the test needs no network
        offline = text.replace("-m build", "-m build --no-isolation")
        offline = offline.replace("install --editable", "install --no-build-isolation --editable")
        done = environment.run("bash", "-c", offline, folder=folder)
        assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
        if text.startswith(("smc-harness new", "smc-harness check", "python -m twine", "python -m build")):
            said = masked(done.stdout)
            assert [line for line in map(masked, lines) if line not in said] == [], text


def masked(text: str) -> str:
    """Without times, versions, and the colours of twine."""
    return re.sub(r"\d+(\.\d+)*", "N", re.sub(r"\x1b\[\d*m", "", text))
