"""What evidence says of the drop, over examples and seeds."""

from __future__ import annotations

import numpy
import pytest
from scipy import stats

from smc_harness.verdict.evidence import Evidence, compare, together
from smc_harness.verdict.inference import drops, effective, needed, seeds_for, weigh
from smc_harness.verdict.margin import Margin
from smc_harness.verdict.paired import Paired, p_at_least, p_at_most
from smc_harness.verdict.spread import Part, Spread
from tests.verdict.evidences import answers, counted, means

MARGIN = Margin(0.01, absolute=True)


def test_one_seed_of_right_and_wrong_is_tested_exactly() -> None:
    found = weigh(counted(500, 400, 12, 5), MARGIN)
    assert found is not None
    assert (found.within, found.beyond) == (
        p_at_least(Paired(500, 12, 5), 0.01),
        p_at_most(Paired(500, 12, 5), 0.01),
    )


def test_nothing_to_tell_it_by() -> None:
    assert weigh(Evidence(0.8, 0.9, 100), MARGIN) is None
    assert drops(Evidence(0.8, 0.9, 100)) is None
    assert weigh(means([0.5], [0.7]), MARGIN) is None


def test_one_question_proves_nothing() -> None:
    for found in (counted(1, 1, 0, 0), counted(1, 1, 1, 0), counted(1, 0, 0, 1)):
        said = weigh(found, MARGIN)
        assert said is not None and min(said.within, said.beyond) > 0.01


def test_the_same_answers_of_five_seeds_are_worth_those_of_one() -> None:
    once = counted(1000, 900, 30, 20)
    table = together([once] * 5).table
    spread = together([once] * 5).spread()
    assert table == Paired(5000, 150, 100) and spread is not None
    found = effective(table, spread, 1000)
    assert 990 <= found.n <= 1000 and found.drop == pytest.approx(0.01)


def test_independent_answers_of_five_seeds_are_worth_about_half_of_all() -> None:
    # what seeds add to their examples is counted twice, to be on the safe side
    draws = numpy.random.default_rng(0)
    worth = []
    for _ in range(20):
        dense = numpy.ones((5, 1000))
        sparse = (draws.random((5, 1000)) > 0.05).astype(float)
        found = together([means(*pair) for pair in zip(sparse, dense, strict=True)])
        table, spread = found.table, found.spread()
        assert table is not None and spread is not None
        worth.append(effective(table, spread, 1000).n)
    assert 1800 < float(numpy.median(worth)) < 4000


def test_ten_questions_on_one_text_are_not_ten() -> None:
    lost = numpy.repeat(numpy.random.default_rng(0).random(100) < 0.1, 10).astype(float)
    groups = [f"text {number // 10}" for number in range(1000)]
    found = weigh(means(1 - lost, numpy.ones(1000), groups=groups), Margin(0.05, absolute=True))
    alone = weigh(means(1 - lost, numpy.ones(1000)), Margin(0.05, absolute=True))
    assert found is not None and alone is not None
    assert alone.beyond < 0.001 < 0.02 < found.beyond


def test_groups_that_are_all_alike_are_no_proof_where_they_are_few() -> None:
    found = weigh(means([0, 1, 0, 1], [1, 1, 1, 1], groups=["a", "a", "b", "b"]), MARGIN)
    assert found is not None and found.beyond >= 0.5
    many = means(numpy.full(40, 0.5), numpy.ones(40))
    said = weigh(many, MARGIN)
    assert said is not None and said.beyond == pytest.approx(1 / 40)


def test_a_metric_that_some_resamples_do_not_have_says_nothing() -> None:
    values = numpy.zeros(40)
    values[:2] = 1  # of two positives, some resamples have none

    def recall(rows: numpy.ndarray, _: object) -> float:  # type: ignore[type-arg]
        return float(rows.sum() / rows.sum()) if rows.sum() else float("nan")

    assert compare(answers(values), answers(values), recall) is None
    assert compare(answers([0.5, numpy.nan]), answers([1.0, 1.0])) is None


def test_over_seeds_small_levels_hold_as_well() -> None:
    """At a tenth of 5 %, where ten levels are tested; Student's t has heavier tails than counts."""
    draws, rounds = numpy.random.default_rng(0), 600
    said = [weigh(over_seeds(draws, 2000, 3, 0.01, 0.01), MARGIN) for _ in range(rounds)]
    assert sum(found is not None and found.beyond <= 0.005 for found in said) / rounds <= 0.005 + 0.009


def test_no_difference_in_any_seed_is_that_of_its_examples() -> None:
    spread = Spread(Part(200, 0.0, 0.0, 0.0), Part(3, 0.0, 0.0, 0.0), Part(600, 0.0, 0.0, 0.0))
    assert effective(Paired(600, 0, 0), spread, 200) == Paired(200, 0, 0)


def over_seeds(draws: numpy.random.Generator, n: int, seeds: int, drop: float, apart: float) -> Evidence:
    """5 % of the questions differ; seeds vary around the drop, with a standard deviation of `apart`."""
    parts = []
    for own in draws.normal(drop, apart, size=seeds):
        differ = max(0.05, abs(own))
        lost, gained, _ = draws.multinomial(n, [(differ + own) / 2, (differ - own) / 2, 1 - differ])
        turned = draws.permutation(numpy.repeat([1, 2, 0], [lost, gained, n - lost - gained]))
        parts.append(means((turned != 1).astype(float), (turned != 2).astype(float)))
    return together(parts)


@pytest.mark.slow
@pytest.mark.parametrize("n", [200, 2000])
@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("apart", [0.0, 0.003, 0.01])
def test_over_seeds_a_drop_of_the_margin_seldom_passes_or_fails(n: int, seeds: int, apart: float) -> None:
    """At most 5.5 %, give or take three standard errors of 600 draws (2.8 points)."""
    draws, rounds = numpy.random.default_rng(0), 600
    said = [weigh(over_seeds(draws, n, seeds, 0.01, apart), MARGIN) for _ in range(rounds)]
    within = sum(found is not None and found.within <= 0.05 for found in said) / rounds
    beyond = sum(found is not None and found.beyond <= 0.05 for found in said) / rounds
    assert within <= 0.055 + 0.028 and beyond <= 0.055 + 0.028


def test_seeds_that_differ_much_make_the_answer_careful() -> None:
    draws = numpy.random.default_rng(0)
    alike = weigh(over_seeds(draws, 2000, 5, 0.0, 0.0), MARGIN)
    apart = weigh(over_seeds(draws, 2000, 5, 0.0, 0.02), MARGIN)
    assert alike is not None and apart is not None
    assert alike.within < 0.05 < apart.within


def test_with_the_seeds_that_are_asked_for_the_verdict_usually_comes() -> None:
    """By the noncentral t distribution, for a spread that is all of seeds; 80 % give or take four standard errors."""
    draws, parts = numpy.random.default_rng(0), Part(10_000, 1e-12, 0.0, 0.0)
    spread = Spread(parts, Part(3, 0.01**2 / 3, 0.0, 0.0), Part(30_000, 1e-12, 0.0, 0.0))
    seeds = seeds_for(spread, 3, 1.0, 0.01)
    assert seeds is not None and 5 < seeds < 12
    drawn = draws.normal(0.01, 0.01, size=(2000, seeds))
    told = stats.ttest_1samp(drawn, 0.0, axis=1, alternative="greater").pvalue <= 0.05
    assert told.mean() >= 0.8 - 0.036


def test_more_seeds_are_asked_for_where_they_are_what_is_scarce() -> None:
    found = over_seeds(numpy.random.default_rng(3), 5000, 3, 0.002, 0.01)
    said = weigh(found, MARGIN)
    assert said is not None and said.within > 0.05
    examples, seeds = needed(found, MARGIN, said)
    assert examples is None and seeds is not None and seeds > 3


@pytest.mark.parametrize("folds", [1, 5])
def test_what_is_needed_is_more_than_there_is(folds: int) -> None:
    """Where nothing changed in any seed, too, which is what low levels look like."""
    for lost in (0, 1, 3):
        found = together([counted(56, 50, lost, 0, fold=seed % folds) for seed in range(5)])
        said = weigh(found, MARGIN)
        assert said is not None
        if said.within > 0.05 and said.beyond > 0.05:
            examples, seeds = needed(found, MARGIN, said)
            assert examples is None or examples > found.examples
            assert seeds is None or seeds > 5
            assert examples is not None or seeds is not None


def test_more_examples_are_asked_for_of_a_single_seed() -> None:
    found = counted(500, 450, 15, 13)
    said = weigh(found, MARGIN)
    assert said is not None
    examples, seeds = needed(found, MARGIN, said)
    assert seeds is None and examples is not None and examples > 500
