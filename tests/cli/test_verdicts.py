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


ORDERED = """

from dataclasses import dataclass

@dataclass(frozen=True)
class Params:
    order: int = 0

params = Params()

@hookimpl
def evaluate(model, split, context):
    import random
    import torch
    order = list(range(len(context.data[split])))
    random.Random(context.params.order).shuffle(order)
    rows = [context.data[split][place] for place in order]
    guess = model(torch.stack([x for x, _ in rows])).argmax(1)
    right = (guess == torch.tensor([y for _, y in rows])).float()
    return Outcomes(right, ids=[f"question {place}" for place in order])
"""


def test_the_order_of_evaluation_changes_no_verdict(command: Command, workshop: Workshop) -> None:
    text = workshop.toy().read_text().replace("@hookimpl\ndef evaluate", "def unused")
    (workshop.folder / "plugins" / "toy.py").write_text(text + ORDERED)
    workshop.pruner("bare")
    said = []
    for order in range(20):
        words = ("--seeds", "2", "--verdict", "noninferiority", "--tolerance", "0.05", "--set", f"toy.order={order}")
        assert command(*PLAN, *words).code == 0
        cells = json.loads(Path("out.json").read_text())["cells"]
        said.append([{key: cell[key] for key in ("id", "verdict", "value", "drop", "p", "needed")} for cell in cells])
    assert all(one == said[0] for one in said)
    assert {cell["verdict"] for cell in said[0]} == {"inconclusive", "fail"}


def test_over_seeds_there_is_one_verdict(command: Command, workshop: Workshop) -> None:
    workshop.toy()
    workshop.pruner("bare")
    assert command(*PLAN, "--seeds", "3", "--verdict", "noninferiority").code == 0
    found = json.loads(Path("out.json").read_text())
    assert [(one["seeds"], one["first_fail"]) for one in found["first_fail"]] == [([0, 1, 2], 0.95)]
    low = [cell for cell in found["cells"] if cell["level"] == 0.2]
    assert {cell["verdict"] for cell in low} == {"inconclusive"}
    pooled = low[0]["pooled"]
    assert pooled["n"] == 480 and pooled["value"] == pytest.approx(sum(cell["value"] for cell in low) / 3)
    assert low[0]["needed"] or low[0]["needed_seeds"]


def test_by_scores_alone_every_seed_has_its_verdict_and_the_median_stands_for_them(
    command: Command, workshop: Workshop
) -> None:
    workshop.toy()
    workshop.pruner("bare")
    ran = command(*PLAN, "--seeds", "3")
    found = json.loads(Path("out.json").read_text())
    assert [one["seed"] for one in found["first_fail"]] == [0, 1, 2]
    (over,) = found["over_seeds"]
    assert over["seeds"] == [0, 1, 2]
    assert over["lowest"]["first_fail"] <= over["median"]["first_fail"] <= over["highest"]["first_fail"]
    assert "3 seeds" in ran.out and "of several seeds: the median one" in ran.out


@pytest.mark.parametrize(
    ("words", "tolerance", "verdict"),
    [
        (["0.9abs"], "0.9abs", "pass"),
        (["t*=0.9abs"], "0.9abs", "pass"),
        (["t*=0.9abs", "0.02"], "0.02", "fail"),
    ],
)
def test_a_tolerance_may_be_an_amount_and_of_some_tasks(
    judged: Callable[..., tuple[Ran, dict[str, Any]]], words: list[str], tolerance: str, verdict: str
) -> None:
    _, cells = judged(*(word for text in words for word in ("--tolerance", text)))
    assert cells["toy::bare[0.95,seed0]"]["verdict"] == verdict
    assert json.loads(Path("out.json").read_text())["tasks"]["toy"]["tolerance"] == tolerance


def test_a_task_may_say_its_tolerance(judged: Callable[..., tuple[Ran, dict[str, Any]]], workshop: Workshop) -> None:
    path = workshop.folder / "plugins" / "toy.py"
    path.write_text(path.read_text() + '\ntolerance = "0.9abs"\n')
    _, cells = judged()
    assert cells["toy::bare[0.95,seed0]"]["verdict"] == "pass"


def test_a_tolerance_for_no_task_of_the_run_is_a_usage_error(command: Command, workshop: Workshop) -> None:
    workshop.toy()
    workshop.pruner("bare")
    ran = command("--collect", "plugins", "-n", "0", "--tolerance", "toi=0.1")
    assert ran.code == 4
    assert "--tolerance toi=0.1: no task of this run is called toi; did you mean 'toy'?" in ran.err


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
    for (one,) in found.values():
        one.pop("confidence")  # of more levels, more is known
    assert found["bisect"] == found["grid"]
    assert found["grid"][0]["monotone"]
    assert len(measured["bisect"]) <= 6 < len(measured["grid"]) == 10
    assert measured["bisect"].items() <= measured["grid"].items()  # in another order, the same numbers


@pytest.mark.parametrize("search", ["until-fail", "grid", "bisect"])
def test_a_resolution_looks_between_the_levels_of_the_grid(command: Command, workshop: Workshop, search: str) -> None:
    workshop.toy()
    workshop.pruner("bare")
    words = ("--collect", "plugins", "--tolerance", "0.05", "--search", search, "-n", "0", "--json", "out.json")
    ran = command(*words, "--resolution", "0.02")
    assert ran.code == 0, ran.err
    report = json.loads(Path("out.json").read_text())
    (found,) = report["first_fail"]
    assert 0 < found["first_fail"] - found["last_pass"] <= 0.02 + 1e-9
    levels = [cell["level"] for cell in report["cells"]]
    assert levels == sorted(levels) and len(levels) > 10
    assert f"({found['last_pass']:g}, {found['first_fail']:g}]" in ran.out
    again = command(*words, "--resolution", "0.02")
    assert "from the store" in again.out
    assert all(cell["cached"] for cell in json.loads(Path("out.json").read_text())["cells"] if cell["value"])


def test_a_search_says_how_many_cells_it_saved(command: Command, workshop: Workshop) -> None:
    workshop.toy()
    workshop.pruner("bare")
    ran = command("--collect", "plugins", "--tolerance", "0.05", "--search", "bisect", "-n", "0", "--json", "out.json")
    found = json.loads(Path("out.json").read_text())
    spared = [cell for cell in found["cells"] if cell["verdict"] == "not-run"]
    assert found["session"]["cells_saved"] == len(spared) >= 4
    assert f"the search saved {len(spared)} of 10 cells" in ran.out
    assert f"the search saved {len(spared)} of 10 cells" in command("report", "out.json").out


def test_a_run_that_stopped_early_saved_nothing(command: Command, workshop: Workshop) -> None:
    workshop.toy()
    workshop.pruner("bare")
    ran = command("--collect", "plugins", "--levels", "0.95,0.96", "--search", "grid", "-x", "-n", "0")
    assert "1 failed, 1 not run" in ran.out and "saved" not in ran.out


DIPPED = """

@hookimpl
def evaluate(model, split, context):
    import torch
    pruned = sum(int((p == 0).sum()) for p in model.parameters() if p.dim() == 2) / 128
    n = len(context.data[split])
    right = 0.6 if 0.3 < pruned < 0.6 or pruned > 0.85 else 0.9
    return Outcomes((torch.arange(n) < round(right * n)).float())
"""


def test_a_curve_that_is_planted_to_be_not_monotone_is_flagged(command: Command, workshop: Workshop) -> None:
    text = workshop.toy().read_text().replace("@hookimpl\ndef evaluate", "def unused")
    (workshop.folder / "plugins" / "toy.py").write_text(text + DIPPED)
    workshop.pruner("bare")
    ran = command("--collect", "plugins", "--search", "bisect", "-n", "0", "--json", "out.json")
    (found,) = json.loads(Path("out.json").read_text())["first_fail"]
    assert (found["last_pass"], found["first_fail"], found["monotone"]) == (0.2, 0.36, False)
    assert "(0.2, 0.36] ~" in ran.out
    assert "~ a level above the first fail passed: the curve is not monotone" in ran.out


@pytest.mark.parametrize("before", ["until-fail", "grid"])
def test_a_bisection_goes_its_way_whatever_the_store_has(command: Command, workshop: Workshop, before: str) -> None:
    workshop.toy()
    workshop.pruner("bare")

    def run(search: str, store: str, *more: str) -> dict[str, Any]:
        words = ("--collect", "plugins", "--tolerance", "0.05", "--search", search, "-n", "0", "--json", "out.json")
        assert command(*words, "--store", store, *more).code == 0
        cells = json.loads(Path("out.json").read_text())["cells"]
        return {cell["id"]: (cell["verdict"], cell["value"]) for cell in cells}

    alone = run("bisect", "empty")
    run(before, "used", "--levels", "0.2,0.36,0.488,0.893")
    assert run("bisect", "used") == alone


def test_a_stop_at_the_first_fail_leaves_no_seed_of_its_pool_out(command: Command, workshop: Workshop) -> None:
    workshop.toy()
    workshop.pruner("bare")
    words = ("--collect", "plugins", "--levels", "0.2,0.95,0.96", "--seeds", "3", "--verdict", "noninferiority")
    command(*words, "--search", "grid", "-n", "0", "-x", "--json", "out.json", "-v")
    cells = json.loads(Path("out.json").read_text())["cells"]
    assert {cell["verdict"] for cell in cells if cell["level"] == 0.95} == {"fail"}
    assert {cell["verdict"] for cell in cells if cell["level"] == 0.96} == {"not-run"}


def test_seeds_of_a_pool_that_have_other_levels_are_all_reported(command: Command, workshop: Workshop) -> None:
    workshop.toy()
    workshop.pruner("bare")
    words = ("--collect", "plugins", "--seeds", "2", "--verdict", "noninferiority", "--resolution", "0.1")
    ids = ("toy::bare[0.2,seed0]", "toy::bare[0.893,seed1]")
    ran = command(*ids, *words, "-n", "0", "--json", "out.json", "-v")
    assert ran.code == 0, ran.err
    cells = json.loads(Path("out.json").read_text())["cells"]
    levels = {seed: [cell["level"] for cell in cells if cell["seed"] == seed] for seed in (0, 1)}
    added = {seed: {cell["level"] for cell in cells if cell["seed"] == seed and cell.get("added")} for seed in (0, 1)}
    assert added[0] == added[1] != set()
    assert levels[0] == sorted(levels[0]) and levels[1] == sorted(levels[1])
    assert "(over 2 seeds)" in ran.out
