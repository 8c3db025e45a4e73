"""Whether a run got worse or better: by hand, by symmetry, and by how often it is wrong."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import fisher_exact
from statsmodels.stats.proportion import confint_proportions_2indep

from smc_harness.baseline.changes import Change, Comparison
from smc_harness.baseline.compare import ALPHA, compare
from smc_harness.baseline.entries import Entries, Precision
from smc_harness.baseline.evidence import Outcomes, precision
from smc_harness.store.artifacts import Artifacts
from smc_harness.verdict.evidence import Answers, Evidence
from smc_harness.verdict.first_fail import FirstFail
from smc_harness.verdict.margin import Margin
from smc_harness.verdict.paired import Paired, p_at_most
from tests.baseline.making import SUBJECT, entry, keyed, point
from tests.verdict.evidences import counted

NOTHING_KEPT = Outcomes(Artifacts(Path("nowhere")), lambda name: None)


class Same:
    """Every level was answered alike: so many questions lost, so many gained."""

    def __init__(self, lost: int, gained: int) -> None:
        self.found = counted(2000, 1600, lost, gained)

    def evidence(self, task: str, pairs: Any, higher_is_better: bool, same_examples: bool) -> tuple[Evidence, bool]:
        ((own, base),) = pairs
        assert (own.value, base.value) == (pytest.approx(self.found.value), pytest.approx(self.found.dense))
        return self.found, True


def beside(old: Entries, new: Entries, tolerance: float = 0.01, witness: Any = NOTHING_KEPT) -> Comparison:
    judged = {
        pair: replace(one, subject=replace(one.subject, tolerance=str(Margin(tolerance)))) for pair, one in new.items()
    }
    return compare("b.json", old, judged, witness)


def change(was: float, now: float, error: float | None = 0.01, **about: Any) -> Change:
    entries = [keyed(entry([point(value, error=error)], **about)) for value in (was, now)]
    return beside(*entries).pairs[0].change


@pytest.mark.parametrize(
    ("was", "now", "expected"),
    [
        (0.8, 0.8, Change.UNCHANGED),
        (0.8, 0.79, Change.WITHIN),
        (0.8, 0.75, Change.REGRESSION),
        (0.75, 0.8, Change.IMPROVEMENT),
        (0.8, 0.7921, Change.WITHIN),
        # 1.645 standard errors of 0.01 x root 2 beyond the tolerance of 0.008
        (0.8, 0.769, Change.WITHIN),
        (0.8, 0.768, Change.REGRESSION),
    ],
)
def test_a_drop_beyond_tolerance_and_chance_is_a_regression(was: float, now: float, expected: Change) -> None:
    assert change(was, now) is expected


def test_where_less_is_better_a_rise_is_a_regression() -> None:
    less = {"subject": replace(SUBJECT, higher_is_better=False)}
    assert change(0.1, 0.2, **less) is Change.REGRESSION
    assert change(0.2, 0.1, **less) is Change.IMPROVEMENT


def test_without_errors_nothing_is_known_beyond_the_tolerance() -> None:
    assert change(0.8, 0.1, error=None) is Change.UNKNOWN
    assert change(0.8, 0.8, error=None) is Change.UNCHANGED
    assert change(0.8, 0.7921, error=None) is Change.WITHIN


def test_scores_of_other_kinds_are_not_compared() -> None:
    other = keyed(entry([point(0.1)], subject=replace(SUBJECT, metric="F1")))
    assert beside(keyed(entry([point(0.8)])), other).pairs[0].change is Change.UNKNOWN


def test_levels_and_seeds_that_only_one_has_are_left_out() -> None:
    old = keyed(entry([point(0.8), point(0.7, 0.36), point(0.8, 0.2, seed=1)]))
    new = keyed(entry([point(0.8), point(0.1, 0.5), point(0.1, 0.2, seed=2)]))
    (pair,) = beside(old, new).pairs
    assert [(level.level, level.seeds) for level in pair.levels] == [(0.2, (0,))]
    (apart,) = beside(old, keyed(entry([point(0.1, 0.9)]))).pairs
    assert (apart.change, apart.levels) == (Change.UNKNOWN, [])


def test_pairs_that_only_one_has_are_named() -> None:
    old, new = keyed(entry([], pruner="gone\n")), keyed(entry([], pruner="fresh"))
    found = beside(old, new)
    assert (found.pairs, found.gone, found.fresh) == ([], ["t::gone\\n"], ["t::fresh"])


def test_one_level_that_got_worse_makes_a_regression_of_all() -> None:
    old = keyed(entry([point(0.5, 0.2), point(0.8, 0.36)]))
    new = keyed(entry([point(0.9, 0.2), point(0.7, 0.36)]))
    (pair,) = beside(old, new).pairs
    assert pair.change is Change.REGRESSION
    assert [level.level for level in pair.at(Change.REGRESSION)] == [0.36]
    assert [level.level for level in pair.at(Change.IMPROVEMENT)] == [0.2]


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0.001, 0.2)), min_size=1, max_size=4),
    st.sampled_from([0.0, 0.01, 0.2]),
    st.booleans(),
)
@settings(deadline=None)
def test_swapping_run_and_baseline_swaps_loss_and_gain(
    found: list[tuple[float, float, float]], tolerance: float, higher_is_better: bool
) -> None:
    subject = replace(SUBJECT, higher_is_better=higher_is_better)
    sides = [
        keyed(entry([point(one[side], level / 9, error=one[2]) for level, one in enumerate(found)], subject=subject))
        for side in (0, 1)
    ]
    swapped = {Change.REGRESSION: Change.IMPROVEMENT, Change.IMPROVEMENT: Change.REGRESSION}
    there, back = (beside(*pair, tolerance).pairs[0].levels for pair in (sides, sides[::-1]))
    assert [swapped.get(level.change, level.change) for level in there] == [level.change for level in back]


@pytest.mark.parametrize("lost", range(20, 61, 5))
@pytest.mark.parametrize("levels", [1, 5])
def test_on_the_same_examples_the_decision_is_that_of_the_exact_test(lost: int, levels: int) -> None:
    places = [0.1 * level for level in range(levels)]
    old, new = (keyed(entry([point(value, level) for level in places])) for value in (0.8, 0.8 - (lost - 8) / 2000))
    found = beside(old, new, witness=Same(lost, gained=8)).pairs[0].levels
    refused = p_at_most(Paired(2000, lost, 8), 0.008) <= ALPHA / levels
    assert {level.change is Change.REGRESSION for level in found} == {refused}
    assert all(level.paired is (lost > 24) for level in found)  # 24 less 8 are the tolerance: no test is needed


def error_of(rate: float, n: int = 2000) -> float:
    return math.sqrt(rate * (1 - rate) / n)


def test_apart_the_interval_is_that_of_two_independent_shares() -> None:
    was, now = point(0.8, error=error_of(0.8)), point(0.75, error=error_of(0.75))
    (level,) = beside(keyed(entry([was])), keyed(entry([now]))).pairs[0].levels
    low, high = confint_proportions_2indep(1600, 2000, 1500, 2000, method="wald", alpha=0.1)
    assert level.worse == pytest.approx((low, high), abs=1e-4)


@pytest.mark.parametrize("rate", [0.5, 0.9, 0.99])
def test_who_is_as_bad_as_the_tolerance_allows_is_called_worse_once_in_twenty(rate: float) -> None:
    """Five levels, drawn anew: any of them makes a regression, and together they err no more than promised."""
    draws, trials, levels, n = numpy.random.default_rng(0), 400, 5, 2000
    right = draws.binomial(n, [rate, rate * 0.99], size=(trials, levels, 2))
    called = 0
    for trial in right:
        smoothed = (trial + 1) / (n + 2)
        sides = [
            keyed(entry([point(trial[i, s] / n, i / 9, error=error_of(smoothed[i, s])) for i in range(levels)]))
            for s in (0, 1)
        ]
        called += beside(*sides).regressed
    assert called / trials < ALPHA + 3 * math.sqrt(ALPHA / trials)
    assert called > 0  # careful, not deaf


def test_a_small_sample_that_is_all_right_is_not_certain() -> None:
    """20 of 20 and 17 of 20: Fisher's exact test does not tell them apart, and neither do we."""
    names = [str(number) for number in range(20)]
    points = []
    for right in (20, 17):
        values = numpy.array([1.0] * right + [0.0] * (20 - right)).reshape(-1, 1)
        found = precision(Answers(values, names, names), None)
        assert isinstance(found, Precision)
        points.append(replace(point(right / 20, n=20), precision=found))
    (pair,) = beside(*(keyed(entry([one])) for one in points)).pairs
    assert pair.change is Change.WITHIN
    assert fisher_exact([[20, 0], [17, 3]], alternative="greater").pvalue > 0.05


def test_seeds_of_which_nothing_is_known_are_as_sure_as_one() -> None:
    old, new = (keyed(entry([point(value, seed=seed) for seed in range(4)])) for value in (0.8, 0.75))
    (level,) = beside(old, new).pairs[0].levels
    (single,) = beside(*(keyed(entry([point(value)])) for value in (0.8, 0.75))).pairs[0].levels
    assert (level.n, level.seeds, level.worse) == (8000, (0, 1, 2, 3), pytest.approx(single.worse))


def fails(last_pass: float | None, first_fail: float | None) -> list[FirstFail]:
    return [FirstFail("t", "p", 0, last_pass, first_fail, True, 0.5, None, (0,))]


@pytest.mark.parametrize(
    ("was", "now", "moved"),
    [
        ((0.2, 0.36), (0.2, 0.36), False),
        ((0.36, 0.488), (0.2, 0.36), True),
        ((0.2, 0.36), (0.36, 0.488), True),
        ((0.893, None), (0.866, 0.893), True),
        ((None, 0.2), (0.2, 0.36), True),
        ((0.36, 0.488), (0.2, 0.59), False),  # other levels, and it may be the same
        ((0.36, None), (0.488, 0.59), False),
        ((None, None), (0.2, 0.36), False),
    ],
)
def test_a_first_fail_moved_where_the_intervals_have_nothing_in_common(was: Any, now: Any, moved: bool) -> None:
    old, new = (keyed(entry([], first_fails=fails(*ends))) for ends in (was, now))
    assert bool(beside(old, new).pairs[0].moved) is moved


def test_programs_are_told_everything() -> None:
    old, new = keyed(entry([point(0.8)])), keyed(entry([point(0.7)], versions={"torch": "3"}))
    found = beside(old, new).to_json()
    (pair,) = found["pairs"]
    assert (found["baseline"], found["there"], pair["change"]) == ("b.json", True, "regression")
    assert found["drift"] == [{"what": "torch", "was": "2.12.0", "now": "3"}]
    (level,) = pair["levels"]
    assert set(level) == {"level", "seeds", "change", "was", "now", "n", "worse", "paired"}
    assert (level["was"], level["now"], level["change"]) == (0.8, 0.7, "regression")


@given(st.integers(1, 60), st.integers(0, 60), st.integers(0, 60), st.floats(0, 0.5))
@settings(deadline=None, max_examples=50)
def test_no_test_calls_worse_what_is_within_the_tolerance(more: int, lost: int, gained: int, margin: float) -> None:
    """So that such levels need none."""
    table = Paired(lost + gained + more, lost, gained)
    if table.drop <= margin:
        assert p_at_most(table, margin) > ALPHA
