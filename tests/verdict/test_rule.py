from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smc_harness.cells import Verdict
from smc_harness.verdict.margin import Margin
from smc_harness.verdict.rule import Tolerance, chance_floor

FINITE = st.floats(-1e6, 1e6)


@pytest.mark.parametrize(
    ("value", "dense", "higher_is_better", "expected"),
    [
        (0.9, 0.9, True, "pass"),
        (1.0, 0.9, True, "pass"),
        (0.891, 0.9, True, "pass"),  # exactly 1 % below; 0.9 - 0.891 > 0.01 * 0.9 in floating point
        (0.8909, 0.9, True, "fail"),
        (0.0, 0.9, True, "fail"),
        (1.01, 1.0, False, "pass"),
        (1.0101, 1.0, False, "fail"),
        (0.5, 1.0, False, "pass"),
        (-1.01, -1.0, True, "pass"),
        (-1.0101, -1.0, True, "fail"),
        (-0.5, -1.0, True, "pass"),
        (-0.99, -1.0, False, "pass"),
        (-0.98, -1.0, False, "fail"),
        (0.0, 0.0, True, "pass"),
        (0.1, 0.0, True, "pass"),
        (-1e-12, 0.0, True, "fail"),
        (1e-12, 0.0, False, "fail"),
    ],
)
def test_one_percent_of_the_dense_score_is_tolerated(
    value: float, dense: float, higher_is_better: bool, expected: str
) -> None:
    assert Tolerance(Margin(0.01)).judge(value, dense, higher_is_better).value == expected


@given(st.integers(1, 100_000), st.data())
def test_a_drop_of_exactly_the_tolerance_passes_at_every_count(right: int, data: st.DataObject) -> None:
    n = data.draw(st.integers(right, 200_000))
    dense = 100 * right / (100 * n)
    assert Tolerance(Margin(0.01)).judge(99 * right / (100 * n), dense) is Verdict.PASS


@given(FINITE, FINITE, st.booleans())
def test_a_score_no_worse_than_dense_passes_at_zero_tolerance_and_a_worse_one_fails(
    value: float, dense: float, higher_is_better: bool
) -> None:
    worse = value < dense if higher_is_better else value > dense
    assert (Tolerance(Margin(0.0)).judge(value, dense, higher_is_better) is Verdict.FAIL) is worse


@given(FINITE, FINITE, st.floats(0, 0.5), st.floats(0, 0.49))
def test_more_tolerance_never_fails_what_less_passes(value: float, dense: float, small: float, more: float) -> None:
    if Tolerance(Margin(small)).judge(value, dense) is Verdict.PASS:
        assert Tolerance(Margin(small + more)).judge(value, dense) is Verdict.PASS


@given(FINITE, FINITE, st.floats(0, 0.99))
def test_lower_is_better_mirrors_higher_is_better(value: float, dense: float, relative: float) -> None:
    rule = Tolerance(Margin(relative))
    assert rule.judge(value, dense, higher_is_better=True) is rule.judge(-value, -dense, higher_is_better=False)


def test_the_floor_is_chance_plus_three_standard_errors() -> None:
    assert chance_floor(0.5, 10_000) == pytest.approx(0.5 + 3 * 0.005)
    assert chance_floor(0.2, 400) == pytest.approx(0.2 + 3 * math.sqrt(0.2 * 0.8 / 400))


def test_where_chance_is_nearly_none_the_floor_takes_one_in_n() -> None:
    assert chance_floor(0.0, 2_000) == pytest.approx(3 * math.sqrt((1 / 2_000) * (1 - 1 / 2_000) / 2_000))
    assert chance_floor(0.0, 2_000) > 2 / 2_000  # two lucky hits are no evidence


@given(st.floats(0, 1), st.integers(1, 10**6))
def test_the_floor_is_never_below_chance(chance: float, n: int) -> None:
    assert chance_floor(chance, n) >= chance


def test_a_single_example_has_a_floor() -> None:
    assert chance_floor(0.5, 1) == 0.5
