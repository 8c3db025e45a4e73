"""How far chance could have moved two scores apart, against brute force and closed forms."""

from __future__ import annotations

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smc_harness.verdict.evidence import Answers, Evidence, Spread, compare, together
from smc_harness.verdict.paired import Paired


def answers(values: object, groups: list[str] | None = None, ids: list[str] | None = None) -> Answers:
    table = numpy.asarray(values, dtype=float).reshape(len(values), -1)  # type: ignore[arg-type]
    names = ids or [f"q{number}" for number in range(len(table))]
    return Answers(table, names, groups or names)


def test_losses_and_gains_are_counted_question_by_question() -> None:
    dense, sparse = [1, 1, 1, 0, 0, 1], [1, 0, 0, 1, 0, 1]
    assert compare(answers(sparse), answers(dense)) == Paired(6, lost=2, gained=1)


@given(st.permutations(range(8)))
def test_the_order_of_scoring_changes_nothing(order: list[int]) -> None:
    dense, sparse = [1, 1, 1, 0, 0, 1, 1, 0], [1, 0, 0, 1, 0, 1, 1, 0]
    shuffled = answers([sparse[i] for i in order], ids=[f"q{i}" for i in order])
    assert compare(shuffled, answers(dense)) == compare(answers(sparse), answers(dense))


@pytest.mark.parametrize("ids", [["q0", "q1", "other"], ["q0", "q1", "q1"]])
def test_other_examples_cannot_be_compared(ids: list[str]) -> None:
    assert compare(answers([1, 0, 1], ids=ids), answers([1, 0, 1])) is None


def test_the_spread_of_a_mean_is_that_of_statistics_books() -> None:
    draws = numpy.random.default_rng(0)
    dense, sparse = draws.normal(size=(2, 50))
    found = compare(answers(sparse), answers(dense))
    assert isinstance(found, Spread)
    assert found.value == pytest.approx(sparse.var(ddof=1) / 50)
    assert found.error(1.0) ** 2 == pytest.approx((dense - sparse).var(ddof=1) / 50)


def test_examples_of_a_group_count_as_one_draw() -> None:
    draws = numpy.random.default_rng(0)
    each = draws.integers(0, 2, size=(2, 40)).astype(float)
    groups = [f"g{number // 5}" for number in range(200)]
    repeated = [answers(numpy.repeat(values, 5), groups=[f"g{i // 5}" for i in range(200)]) for values in each]
    single = compare(answers(each[0] + 0.25), answers(each[1] + 0.25))  # moved, so that they are no counts
    found = compare(*repeated)
    assert isinstance(found, Spread) and isinstance(single, Spread)
    assert (found.clusters, len(set(groups))) == (40, 40)
    assert found.error(1.0) == pytest.approx(single.error(1.0))


def test_a_metric_that_is_no_mean_is_resampled_for_both_models_alike() -> None:
    draws = numpy.random.default_rng(1)
    dense = draws.normal(5, 1, size=400)
    sparse = dense + draws.normal(0, 0.1, size=400)

    def root(values: numpy.ndarray, groups: object) -> float:  # type: ignore[type-arg]
        return float(numpy.sqrt(values.mean()))

    found = compare(answers(sparse), answers(dense), root)
    assert isinstance(found, Spread)
    slope = 0.5 / numpy.sqrt(5)  # of the root, at the mean
    assert numpy.sqrt(found.dense) == pytest.approx(slope * dense.std() / 20, rel=0.1)
    assert found.error(1.0) == pytest.approx(slope * (dense - sparse).std() / 20, rel=0.15)


def test_resampling_draws_whole_groups() -> None:
    values, groups = [1.0, 1.0, 2.0, 2.0, 2.0], ["a", "a", "b", "b", "b"]
    seen: set[tuple[str, ...]] = set()

    def mean(rows: numpy.ndarray, names: object) -> float:  # type: ignore[type-arg]
        seen.add(tuple(sorted(names)))  # type: ignore[arg-type, call-overload]
        return float(rows.mean())

    compare(answers(values, groups), answers(values, groups), mean)
    assert seen == {("a",) * 4, ("b",) * 6, ("a", "a", "b", "b", "b")}


def test_folds_are_one_set_of_questions() -> None:
    parts = [Evidence(0.8, 0.9, 10, chance=Paired(10, 2, 1)), Evidence(0.7, 0.8, 30, chance=Paired(30, 5, 2))]
    found = together(parts)
    assert (found.value, found.dense, found.n) == (pytest.approx(0.725), pytest.approx(0.825), 40)
    assert found.chance == Paired(40, 7, 3)


def test_spreads_of_folds_add_up_by_their_shares() -> None:
    parts = [
        Evidence(1.0, 1.0, 10, chance=Spread(10, 0.4, 0.2, 0.1)),
        Evidence(1.0, 1.0, 30, chance=Spread(30, 0.8, 0.4, 0.2)),
    ]
    found = together(parts).chance
    assert isinstance(found, Spread)
    assert (found.clusters, found.value) == (40, pytest.approx(0.4 / 16 + 0.8 * 9 / 16))


def test_a_fold_without_outcomes_leaves_all_without() -> None:
    parts = [Evidence(0.8, 0.9, 10, chance=Paired(10, 2, 1)), Evidence(0.7, 0.8, 30)]
    assert together(parts).chance is None
