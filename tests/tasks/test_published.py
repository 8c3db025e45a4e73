"""The paper's curves, and the tasks that declare them."""

from __future__ import annotations

import csv

import pytest

from smc_harness.config import PAPER_LEVELS
from smc_harness.discovery.catalogue import discover
from smc_harness.discovery.loading import Plugin, load
from smc_harness.report.published import Curves, published
from smc_harness.verdict.margin import Margin
from smc_harness.verdict.rule import Tolerance
from tests.workshop import ROOT

FILE = ROOT / "tasks/smc_tasks/published.csv"
TASKS = {name: load(locator) for name, locator in discover().installed["task"].items()}
PUBLISHED = [task for task in TASKS.values() if task.declared("published") is not None]
PRUNERS = set(discover().installed["pruner"])


def curves(task: Plugin) -> Curves:
    found = published(task)
    assert found is not None
    return found


def test_all_rows_of_the_papers_table_have_a_curve() -> None:
    assert len(PUBLISHED) == 18
    assert {task.name for task in TASKS.values() if published(task)} == {task.name for task in PUBLISHED}


@pytest.mark.parametrize("task", PUBLISHED, ids=lambda task: task.name)
def test_the_declared_dense_score_is_that_of_the_curve(task: Plugin) -> None:
    assert task.declared("published") == curves(task).dense.value


@pytest.mark.parametrize("task", PUBLISHED, ids=lambda task: task.name)
def test_pruners_have_our_names_and_levels_are_the_papers(task: Plugin) -> None:
    for pruner, points in curves(task).points.items():
        assert pruner.partition("[")[0] in PRUNERS - {"obert"}
        if task.name == "hp-s2c2-esm1b":
            assert list(points) == [0.05]
        else:
            assert tuple(points) == PAPER_LEVELS[: 9 if task.name.startswith(("hp-", "meltome-")) else 10]
        assert all(
            -0.6 < point.value < (1.0 if task.declared("unit") == "fraction" else 25) for point in points.values()
        )


@pytest.mark.parametrize("task", PUBLISHED, ids=lambda task: task.name)
def test_what_it_was_published_with_are_parameters_of_the_task(task: Plugin) -> None:
    assert type(task.declared("published_params", task.params)) is type(task.params)


def test_the_whole_paper_is_there_with_its_uncertain_points() -> None:
    rows = list(csv.DictReader(FILE.read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 1647
    assert sum(row["uncertain"] == "true" for row in rows) == 271
    assert {row["task"] for row in rows} == {task.name for task in PUBLISHED}
    assert {row["reading"] for row in rows if row["figure"] in ("figure 2", "appendix B", "table 1")} == {"exact"}
    assert {row["reading"] for row in rows if row["figure"] in ("figure 1", "figure 3", "figure 4")} == {"digitised"}


# first fails as they were worked out by hand from the figures: (task, pruner, lowest level that fails)
@pytest.mark.parametrize(
    ("task", "pruner", "at_one_percent", "at_five_percent"),
    [
        ("csqa", "magnitude-after", 0.36, 0.488),
        ("race-middle", "lth", 0.59, 0.672),
        ("mawps-gts", "magnitude-after", 0.488, 0.866),
        ("svamp-graph2tree", "magnitude-after", 0.488, 0.59),
        ("meltome-esm1b", "gmp", 0.2, 0.488),
        ("opus-10to10", "magnitude-after", 0.672, 0.672),
        ("mawps-graph2tree", "gmp", 0.2, None),
    ],
)
def test_first_fails_are_those_of_the_figures(
    task: str, pruner: str, at_one_percent: float, at_five_percent: float | None
) -> None:
    found = curves(TASKS[task])
    assert found.judged(Tolerance(Margin(0.01)))[pruner].first_fail == at_one_percent
    assert found.judged(Tolerance(Margin(0.05)))[pruner].first_fail == at_five_percent
