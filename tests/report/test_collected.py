from __future__ import annotations

import io
import json
from types import SimpleNamespace
from typing import Any

import pytest

from smc_harness.cells import Cell
from smc_harness.collection.collect import Collection
from smc_harness.discovery.catalogue import Catalogue, Problem
from smc_harness.report.collected import show


def config(**options: Any) -> Any:
    return SimpleNamespace(options=SimpleNamespace(**options), stash={"stdout": io.StringIO()})


def collection(*cells: Cell, deselected: int = 0) -> Collection:
    catalogue = Catalogue(problems=[Problem("mine.py", "odd")], notices=["noticed"])
    return Collection(catalogue, {}, {}, list(cells), deselected)


TWO = (Cell("t", 'p"<', 0.2, 0), Cell("t", 'p"<', 0.36, 1))


def test_ids_come_in_order_with_a_count_and_problems_apart(capsys: pytest.CaptureFixture[str]) -> None:
    show(collection(*TWO, deselected=3), config(json=None))
    out, err = capsys.readouterr()
    assert out.splitlines() == ['t::p"<[0.2,seed0]', 't::p"<[0.36,seed1]', "", "2 cells collected, 3 deselected"]
    assert err.splitlines() == ["PROBLEM mine.py: odd", "noticed"]


def test_json_stands_alone(capsys: pytest.CaptureFixture[str]) -> None:
    settled = config(json="-")
    show(collection(*TWO), settled)
    assert capsys.readouterr().out == ""
    found = json.loads(settled.stash["stdout"].getvalue())
    assert set(found) == {"schema", "cells"}
    assert found["cells"][1] == {"id": 't::p"<[0.36,seed1]', "task": "t", "pruner": 'p"<', "level": 0.36, "seed": 1}


def test_without_the_json_plugin_the_lines_remain(capsys: pytest.CaptureFixture[str]) -> None:
    show(collection(), config())
    assert capsys.readouterr().out == "\n0 cells collected\n"
