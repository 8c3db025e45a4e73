"""What the outcomes in a store say of two scores."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch

from smc_harness.baseline.entries import Point, Precision
from smc_harness.baseline.evidence import Outcomes, precision
from smc_harness.store.artifacts import Artifacts
from smc_harness.verdict.evidence import Answers
from smc_harness.verdict.paired import Paired
from tests.baseline.making import point
from tests.toys import plugin, toy_task

Keep = Callable[[str, Any], None]


@pytest.fixture
def artifacts(tmp_path: Path) -> Artifacts:
    return Artifacts(tmp_path)


@pytest.fixture
def keep(artifacts: Artifacts) -> Keep:
    """Puts the outcomes of a cell into the store."""

    def save(key: str, values: Any) -> None:
        artifacts.save(key, {"values": torch.tensor(values, dtype=torch.float32)})

    return save


def cell(values: Any, key: str | None, error: float | None = None) -> Point:
    return point(float(numpy.mean(values)), n=len(values), error=error, key=key)


WAS, NOW = [1, 1, 1, 0, 0, 1], [1, 0, 0, 1, 0, 1]


def test_outcomes_that_both_kept_are_compared_one_by_one(artifacts: Artifacts, keep: Keep) -> None:
    keep("aa", NOW)
    keep("bb", WAS)
    for found in (None, plugin("task", "toy", toy_task())):
        outcomes = Outcomes(artifacts, lambda name, found=found: found)  # type: ignore[misc]
        evidence, paired = outcomes.evidence("toy", [(cell(NOW, "aa"), cell(WAS, "bb"))], True, True)
        assert paired
        assert evidence.table == Paired(6, lost=2, gained=1)
        assert (evidence.value, evidence.dense) == (0.5, pytest.approx(4 / 6))


def test_seeds_are_taken_together(artifacts: Artifacts, keep: Keep) -> None:
    keep("aa", NOW)
    keep("bb", WAS)
    pairs = [(cell(NOW, "aa"), cell(WAS, "bb"))] * 2
    evidence, paired = Outcomes(artifacts, lambda name: None).evidence("toy", pairs, True, True)
    assert (paired, evidence.n, evidence.value, evidence.examples) == (True, 12, 0.5, 6)


@pytest.mark.parametrize("same_examples", [True, False])
def test_where_one_has_no_outcomes_both_stand_by_their_errors(
    artifacts: Artifacts, keep: Keep, same_examples: bool
) -> None:
    keep("aa", NOW)
    if not same_examples:
        keep("bb", WAS)
    outcomes = Outcomes(artifacts, lambda name: None)
    base = cell(WAS, "bb", error=0.1)
    evidence, paired = outcomes.evidence("toy", [(cell(NOW, "aa"), base)], True, same_examples)
    assert not paired
    assert evidence.apart is not None and not evidence.compared
    apart = evidence.apart.examples
    assert (apart.clusters, apart.covariance) == (6, 0.0)
    assert apart.dense == pytest.approx(0.01)
    assert apart.value == pytest.approx(0.25 / 6, rel=1e-3)  # half of 3 + 1 of 6 + 2


def test_outcomes_that_give_another_score_are_not_its_outcomes(artifacts: Artifacts, keep: Keep) -> None:
    keep("aa", NOW)
    outcomes = Outcomes(artifacts, lambda name: None)
    assert outcomes.precision("toy", cell(NOW, "aa")) == Precision(0.2041, 6)
    assert outcomes.precision("toy", point(47.5, key="aa", error=None)) is None
    assert outcomes.precision("toy", point(47.5, key="aa", error=0.3)) == Precision(0.3, 2000)


def test_a_metric_of_its_own_is_resampled(artifacts: Artifacts, keep: Keep) -> None:
    draws = numpy.random.default_rng(0)
    values = draws.integers(0, 2, size=400)
    keep("aa", values)
    task = toy_task()
    text = (
        "from smc_harness import hookimpl\n@hookimpl\ndef aggregate(outcomes, context):\n"
        "    return 100 * float(outcomes.values.mean()) ** 0.5\n"
    )
    exec(text, task.__dict__)
    own = point(100 * float(values.mean()) ** 0.5, n=400, error=None, key="aa")
    found = Outcomes(artifacts, lambda name: plugin("task", "toy", task)).precision("toy", own)
    assert found is not None
    # the slope of 100 x root p, times the standard error of p
    p = values.mean()
    assert found.error == pytest.approx(50 / p**0.5 * (p * (1 - p) / 400) ** 0.5, rel=0.1)


def test_the_error_of_a_mean_is_that_of_statistics_books() -> None:
    values = numpy.random.default_rng(0).normal(size=(50, 1))
    names = [str(number) for number in range(50)]
    found = precision(Answers(values, names, names), None)
    assert found == Precision(pytest.approx(values.std(ddof=1) / 50**0.5, rel=1e-3), 50)


def test_examples_of_one_group_alone_have_no_error() -> None:
    values = numpy.zeros((3, 1))
    assert precision(Answers(values, ["a", "b", "c"], ["g"] * 3), None) is None
    grouped = precision(Answers(values, ["a", "b", "c"], ["g", "g", "h"]), None)
    assert grouped == Precision(0.0, 2)


def test_a_model_that_is_always_right_is_not_certain() -> None:
    names = [str(number) for number in range(2000)]
    found = precision(Answers(numpy.ones((2000, 1)), names, names), None)
    assert found is not None
    assert 0 < found.error < 0.001
