"""`--verdict`: by the scores alone, or by the examples."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.workshop import Ran, Workshop

Command = Callable[..., Ran]
PLAN = ("--collect", "plugins", "--levels", "0.2,0.95", "--search", "grid", "-n", "0", "--json", "out.json", "-v")


@pytest.fixture
def judged(command: Command, workshop: Workshop) -> Callable[..., tuple[Ran, dict[str, Any]]]:
    def run(*words: str) -> tuple[Ran, dict[str, Any]]:
        ran = command(*PLAN, *words)
        assert ran.code == 0, ran.err
        cells = json.loads(Path("out.json").read_text())["cells"]
        return ran, {cell["id"]: cell for cell in cells}

    workshop.toy()
    workshop.pruner("bare")
    return run


def test_the_same_scores_are_judged_by_either_rule_without_computing_again(
    judged: Callable[..., tuple[Ran, dict[str, Any]]],
) -> None:
    _, plain = judged()
    ran, paired = judged("--verdict", "noninferiority")
    assert all(cell["cached"] for cell in paired.values())
    assert {name: cell["value"] for name, cell in paired.items()} == {name: c["value"] for name, c in plain.items()}
    low = paired["toy::bare[0.2,seed0]"]
    assert plain["toy::bare[0.2,seed0]"]["drop"] is None
    # 160 examples cannot tell a drop of 1 %
    assert low["verdict"] == "inconclusive" and low["needed"] > 160
    assert low["drop"]["low"] < low["dense"] - low["value"] < low["drop"]["high"]
    assert "INCONCLUSIVE" in ran.out and "examples would tell" in ran.out


def test_a_model_that_is_broken_fails_with_160_examples(judged: Callable[..., tuple[Ran, dict[str, Any]]]) -> None:
    _, cells = judged("--verdict", "noninferiority")
    assert cells["toy::bare[0.95,seed0]"]["verdict"] == "fail"


def test_a_wide_tolerance_passes(judged: Callable[..., tuple[Ran, dict[str, Any]]]) -> None:
    _, cells = judged("--verdict", "noninferiority", "--tolerance", "0.2")
    assert cells["toy::bare[0.2,seed0]"]["verdict"] == "pass"


def test_a_metric_of_its_own_is_resampled(
    judged: Callable[..., tuple[Ran, dict[str, Any]]], workshop: Workshop
) -> None:
    text = (workshop.folder / "plugins" / "toy.py").read_text()
    own = "\n@hookimpl\ndef aggregate(outcomes, context):\n    return 100 * float(outcomes.values.mean()) ** 0.5\n"
    (workshop.folder / "plugins" / "toy.py").write_text(text.replace("chance, higher", "floor, higher") + own)
    _, cells = judged("--verdict", "noninferiority")
    assert [cell["verdict"] for cell in cells.values()] == ["inconclusive", "fail"]
    assert 0 < cells["toy::bare[0.95,seed0]"]["drop"]["low"] < 100


def test_bisection_finds_the_interval_of_the_grid_with_fewer_cells(command: Command, workshop: Workshop) -> None:
    workshop.toy()
    workshop.pruner("bare")
    found, measured = {}, {}
    for search in ("bisect", "grid"):
        words = ("--collect", "plugins", "--tolerance", "0.05", "--search", search, "-n", "0", "--json", "out.json")
        assert command(*words, "--store", search).code == 0
        report = json.loads(Path("out.json").read_text())
        found[search] = report["first_fail"]
        measured[search] = {cell["level"]: cell["value"] for cell in report["cells"] if cell["value"] is not None}
    assert found["bisect"] == found["grid"]
    assert found["grid"][0]["monotone"]
    assert len(measured["bisect"]) <= 6 < len(measured["grid"]) == 10
    assert measured["bisect"].items() <= measured["grid"].items()  # in another order, the same numbers
