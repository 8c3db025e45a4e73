"""Sessions that share a store."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from typing import Any

import pytest

from tests.workshop import Workshop

pytest.importorskip("fcntl", reason="claims are locks of POSIX systems")


def begin(workshop: Workshop, name: str, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "smc_harness", "--collect", "plugins", "--store", "store", "-n", "1", *words]
    return subprocess.Popen(
        [*command, "--json", f"{name}.json"],
        cwd=workshop.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def report(workshop: Workshop, name: str) -> dict[str, dict[str, Any]]:
    text = (workshop.folder / f"{name}.json").read_text()
    return {cell["id"]: cell for cell in json.loads(text)["cells"]}


def values(cells: dict[str, dict[str, Any]]) -> dict[str, tuple[Any, ...]]:
    return {name: (cell["verdict"], cell["value"], cell["dense"]) for name, cell in cells.items()}


@pytest.fixture
def shop(workshop: Workshop) -> Workshop:
    workshop.toy()
    for name in ("one", "two", "three"):
        workshop.pruner(name)
    return workshop


RUN = ("--search", "grid", "--seeds", "2")


def test_two_sessions_at_once_compute_each_cell_once(shop: Workshop) -> None:
    both = [begin(shop, name, *RUN) for name in "ab"]
    for process in both:
        out, _ = process.communicate(timeout=200)
        assert process.returncode == 0, out
    alone = shop.run("--collect", "plugins", "--store", "alone", "-n", "1", *RUN)
    a, b = report(shop, "a"), report(shop, "b")
    assert values(a) == values(b) == values(alone.cells())
    # of each cell and each dense model, one of them measured it, and the other found it
    assert all(a[name]["cached"] + b[name]["cached"] == 1 for name in a)


def test_what_a_killed_session_had_begun_is_for_the_other(shop: Workshop) -> None:
    first = begin(shop, "a", *RUN, "-v")
    assert first.stdout is not None
    while "(dense" not in first.stdout.readline():
        pass
    second = begin(shop, "b", *RUN)
    time.sleep(1.0)
    first.send_signal(signal.SIGKILL)
    out, _ = second.communicate(timeout=200)
    first.stdout.close()
    first.wait()
    assert second.returncode == 0, out
    alone = shop.run("--collect", "plugins", "--store", "alone", "-n", "1", *RUN)
    assert values(report(shop, "b")) == values(alone.cells())
