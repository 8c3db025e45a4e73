"""`smc-harness store`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from smc_harness.store.artifacts import Artifacts
from tests.workshop import Ran, Workshop

Command = Callable[..., Ran]
RUN = ("--collect", "plugins", "--levels", "0.2,0.5", "--search", "grid", "-n", "0", "--seeds", "2")


@pytest.fixture
def toys(workshop: Workshop) -> Workshop:
    workshop.toy()
    workshop.pruner("one")
    workshop.pruner("two", "iterative")
    return workshop


def states(folder: Path) -> list[Path]:
    return sorted((folder / "artifacts").glob("*/*.safetensors"))


def test_a_damaged_state_is_named_and_computed_again(toys: Workshop, command: Command) -> None:
    first = toys.run(*RUN, "--store", "store")
    whole = command("store", "check", "--store", "store")
    assert whole.code == 0 and whole.out.startswith("store: 10 measurements, ") and "written\n" in whole.out
    damaged = states(toys.folder / "store")
    for path in damaged:
        path.write_bytes(path.read_bytes()[:-3])
    ran = command("store", "check", "--store", "store")
    assert ran.code == 1
    assert ran.out.count("damaged: store/artifacts/") == len(damaged)
    again = toys.run(*RUN, "--store", "store", "--pruners", "one", "--levels", "0.2,0.5,0.8")
    fresh = toys.run(*RUN, "--store", "fresh", "--pruners", "one", "--levels", "0.2,0.5,0.8")
    assert again.code == fresh.code == first.code == 0
    assert {name: cell["value"] for name, cell in again.cells().items()} == {
        name: cell["value"] for name, cell in fresh.cells().items()
    }
    assert command("store", "check", "--store", "store", "--remove").code == 0
    assert command("store", "check", "--store", "store").code == 0


def test_shards_and_merge_make_the_table_of_one_run(toys: Workshop, command: Command) -> None:
    whole = toys.run(*RUN, "--store", "whole")
    parts = [toys.run(*RUN, "--store", f"part{i}", "--shard", f"{i}/3") for i in (1, 2, 3)]
    assert [len(part.cells()) for part in parts] == [2, 2, 4]
    merged = command("store", "merge", "--store", "all", "part1", "part2", "part3")
    assert merged.code == 0 and merged.out.startswith("part1: 3 measurements, ")
    together = toys.run(*RUN, "--store", "all")
    assert all(cell["cached"] for cell in together.cells().values())
    for name, cell in whole.cells().items():
        assert (together.cells()[name]["value"], together.cells()[name]["verdict"]) == (cell["value"], cell["verdict"])


def test_pruning_leaves_the_results(toys: Workshop, command: Command) -> None:
    toys.run(*RUN, "--store", "store")
    assert states(toys.folder / "store")
    assert (
        command("store", "prune", "--store", "store", "--older-than", "1").out == "store: 0 states removed, 0.0 MiB\n"
    )
    assert " states removed, " in command("store", "prune", "--store", "store").out
    assert states(toys.folder / "store") == []
    again = toys.run(*RUN, "--store", "store")
    assert all(cell["cached"] for cell in again.cells().values())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("check", "other"), "store merge DIR ... takes other stores; check and prune take none"),
        (("merge",), "store merge DIR ... takes other stores"),
        (("check",), "--store .smc-harness: no results there"),
        (("merge", "nowhere"), "--store nowhere: no results there"),
    ],
)
def test_what_cannot_be_done_is_one_line(command: Command, words: tuple[str, ...], said: str) -> None:
    ran = command("store", *words)
    assert ran.code == 4
    assert said in ran.err


def test_a_store_in_use_is_not_cleared(toys: Workshop, command: Command) -> None:
    pytest.importorskip("fcntl", reason="sessions are seen by locks of POSIX systems")
    toys.run(*RUN, "--store", "store")
    using = "import sys; from pathlib import Path; from smc_harness.store.claims import Claims\n"
    using += "claims = Claims(Path('store')); print('ready', flush=True); sys.stdin.read()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", using], cwd=toys.folder, **pipes) as other:
        other.stdout.readline()
        ran = command(*RUN, "--store", "store", "--cache-clear")
        other.kill()
    assert ran.code == 4
    assert "--store store: a session is using it; when that has ended, or another --store, would work" in ran.err
    assert states(toys.folder / "store")
    assert Artifacts(toys.folder / "store" / "artifacts").load(states(toys.folder / "store")[0].stem) is not None
