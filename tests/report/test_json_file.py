from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from smc_harness.errors import UsageError
from smc_harness.report.json_file import SCHEMA, configure, write
from tests.workshop import Ran, Workshop

CELL = {
    "id", "task", "pruner", "phase", "level", "seed", "scope", "params_digest", "verdict", "metric", "value", "dense",
    "realised", "n", "seconds", "cached", "error", "diagnosis",
}  # fmt: skip
TASK = {"chance", "dense", "floor", "published", "metric", "unit", "n", "higher_is_better", "params", "data"}


def test_a_file_is_written_whole_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    write(str(tmp_path / "f.json"), {"a": 1}, io.StringIO())
    write(str(tmp_path / "f.json"), {"a": 2}, io.StringIO())
    assert [path.name for path in tmp_path.iterdir()] == ["f.json"]
    assert json.loads((tmp_path / "f.json").read_text()) == {"a": 2}


def test_a_dash_is_standard_output() -> None:
    stream = io.StringIO()
    write("-", {"a": "é<"}, stream)
    assert json.loads(stream.getvalue()) == {"a": "é<"}


def test_what_cannot_be_written_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--json .*: Is a directory"):
        write(str(tmp_path), {}, io.StringIO())
    assert list(tmp_path.parent.glob(f".{tmp_path.name}*")) == []


def config(target: str | None) -> Any:
    return SimpleNamespace(options=SimpleNamespace(json=target))


@pytest.mark.parametrize("target", ["", ".", "nowhere/f.json", "/"])
def test_a_place_that_cannot_be_written_is_refused_before_the_run(
    target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="a file in a folder that exists would work"):
        configure(config(target))


@pytest.mark.parametrize("target", [None, "-", "f.json"])
def test_other_places_are_accepted(target: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    configure(config(target))


def test_a_run_writes_all_that_is_promised(command: Callable[..., Ran], workshop: Workshop) -> None:
    path = workshop.toy()
    path.write_text(path.read_text() + "\npublished = {'dense': float('nan')}\n")
    workshop.pruner("mine")
    words = ("--collect", "plugins", "--levels", "0.2,0.99", "-n", "0", "--tolerance", "0.25")
    done = command(*words, "--json", "f.json", "--seed", "3", "--limit", "100")
    assert done.code == 0
    found = json.loads((workshop.folder / "f.json").read_text())
    assert set(found) == {"schema", "session", "tasks", "cells", "first_fail"}
    assert found["schema"] == SCHEMA
    assert {"versions", "machine", "options", "seed", "ended"} <= set(found["session"])
    assert (found["session"]["seed"], found["session"]["options"]["limit"]) == (3, 100)
    assert set(found["session"]["versions"]) >= {"smc-harness", "torch", "python"}
    assert set(found["tasks"]) == {"toy"}
    toy = found["tasks"]["toy"]
    assert set(toy) >= TASK
    assert (toy["n"], toy["chance"], toy["published"]) == (100, 0.5, {"dense": None})
    assert 0.5 < toy["floor"] < toy["dense"]
    assert all(set(cell) >= CELL for cell in found["cells"])
    low, high = found["cells"]
    assert (low["verdict"], high["verdict"]) == ("pass", "fail")
    assert low["dense"] == high["dense"] == toy["dense"]
    assert (low["n"], low["metric"], low["cached"], low["error"]) == (100, "accuracy", False, None)
    # floor(level x 128 + 1/2) of the 128 weights of the two layers
    assert (low["realised"], high["realised"]) == (26 / 128, 127 / 128)
    assert [set(one) for one in found["first_fail"]] == [
        {"task", "pruner", "seed", "last_pass", "first_fail", "monotone", "confidence"}
    ]
