"""How far chance could have moved two scores apart, against brute force and closed forms."""

from __future__ import annotations

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smc_harness.verdict.evidence import Evidence, compare, together
from smc_harness.verdict.paired import Paired
from tests.verdict.evidences import answers, compared, counted


def test_losses_and_gains_are_counted_question_by_question() -> None:
    dense, sparse = [1, 1, 1, 0, 0, 1], [1, 0, 0, 1, 0, 1]
    assert compared(sparse, dense).table == Paired(6, lost=2, gained=1)


@given(st.permutations(range(8)))
def test_the_order_of_scoring_changes_nothing(order: list[int]) -> None:
    dense, sparse = [1, 1, 1, 0, 0, 1, 1, 0], [1, 0, 0, 1, 0, 1, 1, 0]
    shuffled = answers([sparse[i] for i in order], ids=[f"q{i}" for i in order])
    found = compare(shuffled, answers(dense))
    plain = compared(sparse, dense)
    assert found is not None and found.table == plain.table
    assert found.groups == plain.groups and numpy.array_equal(found.sums, plain.sums)


@pytest.mark.parametrize("ids", [["q0", "q1", "other"], ["q0", "q1", "q1"]])
def test_other_examples_cannot_be_compared(ids: list[str]) -> None:
    assert compare(answers([1, 0, 1], ids=ids), answers([1, 0, 1])) is None


def test_a_metric_that_is_no_mean_is_resampled_for_both_models_alike() -> None:
    draws = numpy.random.default_rng(1)
    dense = draws.normal(5, 1, size=400)
    sparse = dense + draws.normal(0, 0.1, size=400)

    def root(values: numpy.ndarray, groups: object) -> float:  # type: ignore[type-arg]
        return float(numpy.sqrt(values.mean()))

    found = compare(answers(sparse), answers(dense), root)
    assert found is not None
    spread = Evidence(root(sparse, ()), root(dense, ()), 400, compared=(found,)).spread()
    assert spread is not None
    slope = 0.5 / numpy.sqrt(5)  # of the root, at the mean
    assert numpy.sqrt(spread.examples.dense) == pytest.approx(slope * dense.std() / 20, rel=0.1)
    assert spread.error(1.0) == pytest.approx(slope * (dense - sparse).std() / 20, rel=0.15)


def test_seeds_that_see_the_same_examples_are_resampled_alike() -> None:
    values = numpy.random.default_rng(0).normal(size=50)

    def mean(rows: numpy.ndarray, _: object) -> float:  # type: ignore[type-arg]
        return float(rows.mean())

    once, again, other = (compare(answers(values), answers(values), mean, fold) for fold in (0, 0, 1))
    assert once is not None and again is not None and other is not None
    assert numpy.array_equal(once.samples, again.samples)  # type: ignore[arg-type]
    assert not numpy.array_equal(once.samples, other.samples)  # type: ignore[arg-type]


def test_resampling_draws_whole_groups() -> None:
    values, groups = [1.0, 1.0, 2.0, 2.0, 2.0], ["a", "a", "b", "b", "b"]
    seen: set[tuple[str, ...]] = set()

    def mean(rows: numpy.ndarray, names: object) -> float:  # type: ignore[type-arg]
        seen.add(tuple(sorted(names)))  # type: ignore[arg-type, call-overload]
        return float(rows.mean())

    compare(answers(values, groups), answers(values, groups), mean)
    assert seen == {("a",) * 4, ("b",) * 6, ("a", "a", "b", "b", "b")}


def test_seeds_are_taken_together_by_their_examples() -> None:
    found = together([counted(10, 9, 2, 1), counted(30, 24, 5, 2, fold=1)])
    assert (found.value, found.dense, found.n) == (pytest.approx(29 / 40), pytest.approx(33 / 40), 40)
    assert found.table == Paired(40, 7, 3)


def test_examples_that_several_seeds_see_count_once() -> None:
    assert together([counted(10, 9, 2, 1), counted(10, 8, 1, 1)]).examples == 10
    assert together([counted(10, 9, 2, 1), counted(10, 8, 1, 1, fold=1)]).examples == 20


def test_lower_is_better_turns_the_table() -> None:
    assert counted(10, 5, 3, 1, better=False).table == Paired(10, 1, 3)
    assert counted(10, 5, 3, 1, better=False).drop == pytest.approx(-0.2)


def test_a_seed_without_outcomes_leaves_all_without() -> None:
    found = together([counted(10, 9, 2, 1), Evidence(0.7, 0.8, 30)])
    assert (found.compared, found.table, found.spread()) == ((), None, None)


def test_one_example_has_no_spread() -> None:
    assert counted(1, 1, 0, 0).spread() is None
