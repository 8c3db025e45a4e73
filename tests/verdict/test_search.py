from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smc_harness.cells import Verdict
from smc_harness.verdict.search import SEARCHES, Search, next_level

LEVELS = st.lists(st.floats(0, 0.99), unique=True, max_size=12).map(sorted)
SETTLED = st.sampled_from([Verdict.PASS, Verdict.FAIL, Verdict.ERROR, Verdict.SKIPPED, Verdict.INCONCLUSIVE])


def walked(search: str, levels: list[float], answer: dict[float, Verdict]) -> list[float]:
    """The levels that a run measures, in order."""
    verdicts: dict[float, Verdict] = {}
    while (level := next_level(search, levels, verdicts)) is not None:
        assert level not in verdicts
        verdicts[level] = answer[level]
        assert len(verdicts) <= len(levels)
    return list(verdicts)


@st.composite
def trajectories(draw: st.DrawFn) -> tuple[list[float], dict[float, Verdict]]:
    levels = draw(LEVELS)
    return levels, {level: draw(SETTLED) for level in levels}


@given(st.sampled_from(SEARCHES), trajectories())
def test_every_search_ends_and_asks_for_each_level_at_most_once(search: str, given_: tuple) -> None:
    assert set(walked(search, *given_)) <= set(given_[0])


@given(trajectories())
def test_until_fail_goes_up_to_the_first_fail_and_no_further(given_: tuple) -> None:
    levels, answer = given_
    failing = [level for level in levels if answer[level] is Verdict.FAIL]
    assert walked("until-fail", levels, answer) == [level for level in levels if not failing or level <= failing[0]]


@given(trajectories())
def test_grid_measures_every_level_in_order(given_: tuple) -> None:
    levels, answer = given_
    assert walked("grid", levels, answer) == levels


@given(st.sampled_from(SEARCHES), trajectories(), st.data())
def test_levels_measured_before_are_not_asked_for_again(search: str, given_: tuple, data: st.DataObject) -> None:
    levels, answer = given_
    known = {level: answer[level] for level in levels if data.draw(st.booleans())}
    level = next_level(search, levels, known)
    assert level is None or level not in known


@pytest.mark.parametrize("verdict", [Verdict.ERROR, Verdict.SKIPPED, Verdict.INCONCLUSIVE])
def test_what_is_not_a_fail_does_not_end_the_search(verdict: Verdict) -> None:
    assert next_level("until-fail", [0.2, 0.5], {0.2: verdict}) == 0.5


def test_a_fail_found_above_does_not_hide_the_levels_below() -> None:
    assert next_level("until-fail", [0.2, 0.5, 0.8], {0.8: Verdict.FAIL}) == 0.2


def test_without_levels_there_is_nothing_to_measure() -> None:
    assert [next_level(search, [], {}) for search in SEARCHES] == [None] * len(SEARCHES)


TEN = [0.2, 0.36, 0.488, 0.59, 0.672, 0.738, 0.791, 0.8325, 0.866, 0.893]


@pytest.mark.parametrize("failing", range(11))
def test_bisection_finds_the_same_interval_as_the_grid_with_at_most_six_of_ten(failing: int) -> None:
    answer = {level: Verdict.FAIL if place >= failing else Verdict.PASS for place, level in enumerate(TEN)}
    measured = walked("bisect", TEN, answer)
    assert len(measured) <= 6
    assert set(TEN[max(0, failing - 1) : failing + 1]) <= set(measured)


@given(trajectories())
def test_bisection_ends_beside_the_lowest_fail_that_it_met(given_: tuple) -> None:
    levels, answer = given_
    measured = walked("bisect", levels, answer)
    failed = [level for level in measured if answer[level] is Verdict.FAIL]
    passed = [level for level in measured if answer[level] is Verdict.PASS and (not failed or level < failed[0])]
    between = [x for x in levels if (not passed or x > max(passed)) and (not failed or x < min(failed))]
    assert set(between) <= set(measured)


@pytest.mark.parametrize(
    ("curve", "first"),
    [("PFFPPPPPFF", 1), ("PPPFFFPPPP", 3), ("PPFFFFFPPF", 2), ("FFFPPPPPPP", 0)],
)
def test_guards_show_that_a_planted_curve_is_not_monotone(curve: str, first: int) -> None:
    answer = {level: Verdict.PASS if letter == "P" else Verdict.FAIL for level, letter in zip(TEN, curve, strict=True)}
    measured = walked("bisect", TEN, answer)
    failed = min(level for level in measured if answer[level] is Verdict.FAIL)
    assert failed == TEN[first]
    assert any(answer[level] is Verdict.PASS for level in measured if level > failed)


def test_no_long_run_of_levels_is_left_without_a_look() -> None:
    for failing in range(11):
        answer = {level: Verdict.FAIL if place >= failing else Verdict.PASS for place, level in enumerate(TEN)}
        seen = "".join("x" if level in walked("bisect", TEN, answer) else "." for level in TEN)
        assert "..." not in seen


def test_a_pruner_that_walks_up_does_not_jump() -> None:
    assert Search("bisect").of("iterative") == Search("until-fail")
    assert [Search(search).of("after") for search in SEARCHES] == [Search(search) for search in SEARCHES]
    assert Search("grid").of("iterative") == Search("grid")


def refined(search: Search, answer: Callable[[float], Verdict]) -> dict[float, Verdict]:
    """What a run measures of the grid and between."""
    verdicts: dict[float, Verdict] = {}
    while (level := search.next(sorted({*TEN, *verdicts}), verdicts)) is not None:
        assert level not in verdicts and 0 < level < 1
        verdicts[level] = answer(level)
    return verdicts


def below(threshold: float) -> Callable[[float], Verdict]:
    return lambda level: Verdict.PASS if level <= threshold else Verdict.FAIL


@given(st.sampled_from(SEARCHES), st.floats(0.0, 0.89), st.sampled_from([0.01, 0.05, 0.003]))
def test_a_resolution_pins_the_first_fail_down(search: str, threshold: float, resolution: float) -> None:
    found = refined(Search(search, resolution), below(threshold))
    failed = min(level for level, verdict in found.items() if verdict is Verdict.FAIL)
    passed = max((level for level, verdict in found.items() if verdict is Verdict.PASS), default=0.0)
    assert passed <= threshold < failed
    assert failed - passed <= resolution + 1e-9
    added = [level for level in found if level not in TEN]
    assert all(abs(level / resolution - round(level / resolution)) < 1e-6 for level in added)
    assert len(added) <= math.ceil(math.log2(0.2 / resolution)) + 1


def test_nothing_is_refined_where_nothing_failed() -> None:
    assert set(refined(Search("grid", 0.01), below(1.0))) == set(TEN)


def test_a_model_that_fails_unpruned_is_not_looked_into() -> None:
    assert Search("grid", 0.01).next([0.0], {0.0: Verdict.FAIL}) is None


def test_a_pruner_with_levels_of_its_own_is_not_refined() -> None:
    assert Search("grid", 0.01).of("after", (0.5,)) == Search("grid")


def test_what_cannot_be_told_is_narrowed_from_both_sides() -> None:
    def answer(level: float) -> Verdict:
        return Verdict.PASS if level < 0.41 else Verdict.FAIL if level > 0.555 else Verdict.INCONCLUSIVE

    found = refined(Search("until-fail", 0.01), answer)
    told = {verdict: [level for level in found if found[level] is verdict] for verdict in Verdict}
    assert (max(told[Verdict.PASS]), min(told[Verdict.FAIL])) == (0.4, 0.56)
    assert (min(told[Verdict.INCONCLUSIVE]), max(told[Verdict.INCONCLUSIVE])) == (0.41, 0.55)
    assert len(found) <= 14
