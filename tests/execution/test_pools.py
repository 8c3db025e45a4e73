"""Folds of one data set: measured one by one, judged together."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from smc_harness.errors import PluginError
from tests.workshop import Ran, Workshop

Command = Callable[..., Ran]
FOLDS = """

folds = 2

@hookimpl
def evaluate(model, split, context):
    # what each fold scores is written here, by the share of weights that live
    import torch
    alive = sum(int((p != 0).sum()) for p in model.parameters() if p.dim() == 2)
    whole = sum(p.numel() for p in model.parameters() if p.dim() == 2)
    level = round(1 - alive / whole, 1)
    n = len(context.data[split])
    right = TABLE[context.seed % 2].get(level, 1.0)
    return Outcomes((torch.arange(n) < round(right * n)).float())

@hookimpl
def prepare_data(context):
    import torch
    draw = torch.Generator().manual_seed(7)
    rows = [(torch.randn(6, generator=draw), 0) for _ in range(160)]
    # folds of different sizes
    return {"train": rows, "test": rows[: 100 if context.seed % 2 == 0 else 50]}
"""


@pytest.fixture
def folded(workshop: Workshop) -> Callable[[dict[int, dict[float, float]]], None]:
    """The toy with two folds, and what they score at each level: {fold: {level: accuracy}}."""

    def write(table: dict[int, dict[float, float]]) -> None:
        path = workshop.toy()
        text = path.read_text().replace("def evaluate(", "def _evaluate(").replace("def prepare_data(", "def _data(")
        text = text.replace("@hookimpl\ndef _evaluate", "def _evaluate").replace("@hookimpl\ndef _data", "def _data")
        path.write_text(f"{text}{FOLDS}\nTABLE = {table}\n")

    return write


def run(command: Command, *more: str) -> Ran:
    plan = ("--collect", "plugins", "--pruners", "magnitude-after", "--levels", "0.2,0.5,0.8", "--json", "out.json")
    ran = command(*plan, "--seeds", "2", "-n", "0", *more)
    ran.report = json.loads(Path("out.json").read_text())
    return ran


def verdicts(ran: Ran) -> dict[tuple[float, int], str]:
    return {(cell["level"], cell["seed"]): cell["verdict"] for cell in ran.report["cells"]}


def test_the_verdict_is_taken_on_all_examples_of_all_folds(command: Command, folded) -> None:
    # at 0.2 fold 1 alone would fail and fold 0 is better than dense: together they pass
    folded({0: {0.0: 0.9, 0.2: 0.93, 0.5: 0.9}, 1: {0.0: 0.9, 0.2: 0.86, 0.5: 0.8}})
    ran = run(command)
    assert ran.code == 0, ran.err
    expected = {0.2: "pass", 0.5: "fail", 0.8: "not-run"}
    assert verdicts(ran) == {(level, seed): verdict for level, verdict in expected.items() for seed in (0, 1)}
    pooled = ran.cells()["toy::magnitude-after[0.2,seed1]"]["pooled"]
    assert pooled == {"value": pytest.approx((93 + 43) / 150), "dense": pytest.approx(0.9), "n": 150, "seeds": [0, 1]}
    (found,) = ran.report["first_fail"]
    assert (found["seed"], found["seeds"], found["last_pass"], found["first_fail"]) == (0, [0, 1], 0.2, 0.5)
    assert "90.00 % (2 seeds)" in ran.out
    assert ran.out.count("(0.2, 0.5]") == 3  # in the table once, and in the line of either trajectory


def test_controls_of_what_is_judged_together_run_as_well(command: Command, folded) -> None:
    folded({0: {}, 1: {}})
    ran = run(command, "--controls", "--search", "grid")
    assert ran.code == 0, ran.err
    found = {(cell["pruner"], cell["verdict"]) for cell in ran.report["cells"]}
    assert found == {(f"magnitude-after{control}", "pass") for control in ("", "~random", "~own-ratios")}


def test_no_fold_goes_on_before_all_are_judged(command: Command, folded) -> None:
    # fold 1 would fail at 0.2 by itself, fold 0 would go on to 0.8
    folded({0: {0.2: 1.0, 0.5: 1.0, 0.8: 1.0}, 1: {0.2: 0.5, 0.5: 0.5, 0.8: 0.5}})
    ran = run(command)
    assert {level for (level, _), verdict in verdicts(ran).items() if verdict == "not-run"} == {0.5, 0.8}
    assert ran.report["first_fail"][0]["first_fail"] == 0.2


@pytest.mark.parametrize("workers", ["0", "2"])
def test_what_was_measured_before_is_used_again(command: Command, folded, workers: str) -> None:
    folded({0: {0.5: 0.8}, 1: {0.8: 0.1}})
    first = run(command, "-n", workers)
    again = run(command, "-n", workers)
    assert verdicts(first) == verdicts(again)
    assert all(cell["cached"] for cell in again.report["cells"] if cell["verdict"] != "not-run")
    grid = run(command, "--search", "grid", "-n", workers)
    assert set(verdicts(grid).values()) == {"pass", "fail"}
    assert [cell["cached"] for cell in grid.report["cells"]].count(False) == 2


def test_a_fold_that_raises_costs_its_own_cells(command: Command, folded, workshop: Workshop) -> None:
    folded({0: {0.2: 0.9999}, 1: {}})
    path = workshop.folder / "plugins" / "toy.py"
    path.write_text(
        path.read_text().replace("    right = TABLE", "    assert (context.seed, level) != (1, 0.2)\n    right = TABLE")
    )
    ran = run(command, "--search", "grid")
    assert ran.code == 6
    found = verdicts(ran)
    assert (found[0.2, 0], found[0.2, 1]) == ("pass", "error")
    assert ran.cells()["toy::magnitude-after[0.2,seed0]"]["pooled"]["seeds"] == [0]
    assert found[0.5, 0] == found[0.5, 1] == "pass"


def test_a_single_seed_is_judged_alone(command: Command, folded) -> None:
    folded({0: {0.2: 0.5}, 1: {}})
    ran = run(command, "--seeds", "1")
    assert verdicts(ran)[0.2, 0] == "fail"
    assert "seeds" not in ran.report["first_fail"][0]


def test_folds_with_an_aggregate_are_refused() -> None:
    from smc_harness import hookimpl
    from smc_harness.discovery import rules
    from tests.toys import toy_task

    task = toy_task()
    task.folds = 5  # type: ignore[attr-defined]
    rules.check(task, "task", "toy")
    task.aggregate = hookimpl(lambda outcomes: 0.0)  # type: ignore[attr-defined]
    with pytest.raises(PluginError, match=r"^toy: `folds` are judged by the mean"):
        rules.check(task, "task", "toy")


def test_the_arithmetic_folds_are_pooled_unless_one_is_chosen() -> None:
    from smc_tasks.arithmetic.word_problems import FoldedParams, WordProblemParams, mawps_gts, svamp_gts

    from tests.toys import plugin

    assert plugin("task", "mawps-gts", mawps_gts, FoldedParams()).folds == 5
    assert plugin("task", "mawps-gts", mawps_gts, FoldedParams(fold=0)).folds == 1
    assert plugin("task", "svamp-gts", svamp_gts, WordProblemParams()).folds == 1
    assert plugin("task", "plain", SimpleNamespace()).folds == 1
