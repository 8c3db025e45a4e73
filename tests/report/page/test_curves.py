from __future__ import annotations

from typing import Any

import pytest
from statsmodels.stats.proportion import proportion_confint

from smc_harness.cells import Cell, CellResult, Judgement, Measurement, Pooled, Verdict
from smc_harness.report.page.curves import Estimate, estimate, kinds, of_task, wilson
from smc_harness.report.published import Curves, Point
from smc_harness.report.saved import of
from tests.report import runs
from tests.report.saving import saved


def result(value: float, seed: int = 0, metric: str = "accuracy", **more: Any) -> CellResult:
    cell = Cell("task", "pruner", 0.5, seed, "after")
    return CellResult(cell, Verdict.PASS, metric, 0.9, Measurement(value, 100, 1.0), **more)


@pytest.mark.parametrize(("hits", "n"), [(0, 10), (3, 10), (10, 10), (261, 282), (1990, 2000)])
def test_the_interval_of_a_share_is_wilsons(hits: int, n: int) -> None:
    expected = proportion_confint(hits, n, alpha=0.1, method="wilson")
    assert wilson(hits / n, n) == pytest.approx(expected, abs=1e-12)


def test_an_accuracy_has_the_interval_of_its_examples() -> None:
    assert estimate([result(0.8)], "fraction", True) == Estimate(0.8, *wilson(0.8, 100), "wilson")


@pytest.mark.parametrize(("unit", "metric"), [("BLEU", "BLEU"), ("fraction", "F1"), ("", "loss")])
def test_another_metric_has_none(unit: str, metric: str) -> None:
    assert estimate([result(0.8, metric=metric)], unit, True) == Estimate(0.8)


@pytest.mark.parametrize(("higher", "low", "high"), [(True, 0.7, 0.85), (False, 0.95, 1.1)])
def test_the_drop_that_the_verdict_was_taken_on_comes_first(higher: bool, low: float, high: float) -> None:
    found = estimate([result(0.8, judgement=Judgement(Verdict.FAIL, 0.05, 0.2))], "fraction", higher)
    assert (found.value, found.low, found.high, found.how) == (0.8, pytest.approx(low), pytest.approx(high), "paired")


def test_seeds_that_are_judged_one_by_one_have_a_median_and_a_range() -> None:
    found = estimate([result(value, seed) for seed, value in enumerate((0.9, 0.6, 0.8))], "fraction", True)
    assert found == Estimate(0.8, 0.6, 0.9, "range")


def test_folds_have_the_score_of_all_their_examples() -> None:
    pooled = Pooled(0.75, 0.9, 200, (0, 1))
    found = estimate([result(0.7, 0, pooled=pooled), result(0.8, 1, pooled=pooled)], "fraction", True)
    assert found == Estimate(0.75, *wilson(0.75, 200), "wilson")


def test_seeds_that_are_judged_together_have_their_mean_and_the_drop() -> None:
    judgement = Judgement(Verdict.PASS, -0.05, 0.1)
    found = estimate([result(0.9, 0, judgement=judgement), result(0.8, 1, judgement=judgement)], "fraction", True)
    assert (found.value, found.low, found.high) == (pytest.approx(0.85), pytest.approx(0.8), pytest.approx(0.95))


def test_the_tolerance_lies_on_the_worse_side_of_dense() -> None:
    for higher, passes in ((True, 0.45), (False, 1.35)):
        run = of(saved([result(0.8, metric="loss")], unit="", higher_is_better=higher, tolerance="0.5"))
        found = of_task(run, "task", None, ["pruner"])
        assert (found["dense"], found["passes"], found["tolerance"]) == (0.9, pytest.approx(passes), "50 % of dense")


def test_what_was_published_tells_whence_it_is() -> None:
    curves = Curves(Point(0.95), {"pruner": {0.5: Point(0.9, True, "Figure 1", "two\nlines")}, "other": {}})
    found = of_task(of(saved([result(0.8)])), "task", curves, ["pruner"])["published"]
    assert found == {
        "dense": 0.95,
        "curves": [{"pruner": 0, "points": [(0.5, 0.9, "Figure 1; uncertain; two\\nlines")]}],
    }


def test_every_seed_has_its_curve_and_each_kind_of_interval_is_explained() -> None:
    found = of_task(runs.run(["task"], ["pruner"], seeds=3), "task", None, ["pruner"])
    (curve,) = found["curves"]
    assert [len(seed["points"]) for seed in curve["seeds"]] == [1, 2, 3]
    assert [point[-1] for point in curve["points"]] == [3, 2, 1]
    assert [text.partition(":")[0] for text in kinds([found])] == [
        "around an accuracy",
        "around the median of the seeds that were measured at a level",
    ]


def test_a_task_without_a_measurement_has_no_curve() -> None:
    found = of_task(runs.broken(), "task", None, ["pruner"])
    assert (found["curves"], found["dense"]) == ([], None)
