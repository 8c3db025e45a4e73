"""Plans, the cubic schedule and the ladder of iterative pruning, against closed forms."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smc_harness.config import PAPER_LEVELS
from smc_harness.declarations.plans import Prune, Rewind, Train, cubic, default_plan, rungs
from smc_harness.errors import PluginError


@pytest.mark.parametrize("step", [0, 10, 20, 35, 50])
def test_the_cubic_schedule_meets_the_published_formula_at_every_step_of_its_staircase(step: int) -> None:
    fraction = 0.1 + 0.7 * step / 50
    expected = 0.8 * (1 - (1 - step / 50) ** 3)
    assert cubic(0.8, 0.1, 0.8, 50)(fraction + 1e-9) == pytest.approx(expected)


def test_the_cubic_schedule_starts_at_zero_and_ends_exactly_at_its_level() -> None:
    schedule = cubic(0.7)
    assert schedule(0.0) == 0.0
    assert schedule(0.8) == schedule(1.0) == 0.7


@given(st.floats(0, 0.99), st.floats(0, 1), st.floats(0, 1))
def test_the_cubic_schedule_never_falls(level: float, first: float, second: float) -> None:
    low, high = sorted((first, second))
    assert cubic(level)(low) <= cubic(level)(high)


def test_a_cubic_schedule_with_an_empty_window_is_refused() -> None:
    with pytest.raises(PluginError, match="start < end"):
        cubic(0.5, 0.8, 0.8)


@pytest.mark.parametrize(("k", "level"), list(enumerate(PAPER_LEVELS, start=1)))
def test_the_paper_levels_are_the_rungs_of_the_ladder(k: int, level: float) -> None:
    ladder = rungs(level)
    assert len(ladder) == k
    assert ladder == [pytest.approx(1 - 0.8**i) for i in range(1, k + 1)]


def test_a_level_between_rungs_branches_off_the_last_one_below() -> None:
    assert rungs(0.3) == [pytest.approx(0.2), 0.3]
    assert rungs(0.05) == [0.05]


@given(st.floats(0, 0.98))
def test_the_chain_does_not_depend_on_where_it_ends(level: float) -> None:
    ladder = rungs(level)
    assert ladder[:-1] == [1 - 0.8**k for k in range(1, len(ladder))]
    assert abs(ladder[-1] - level) <= 0.002


def test_default_plans_by_phase() -> None:
    assert default_plan("before", 0.5) == [Prune(0.5), Train()]
    assert default_plan("after", 0.5) == [Train(), Prune(0.5), Train()]
    assert default_plan("iterative", 0.3) == [
        *[Train(), Prune(pytest.approx(0.2)), Rewind(0.0)],
        *[Train(), Prune(0.3), Rewind(0.0)],
        Train(),
    ]
    (during,) = default_plan("during", 0.5)
    assert isinstance(during, Train) and during.prune is not None and during.prune(1.0) == 0.5


def test_an_unknown_phase_is_refused() -> None:
    with pytest.raises(PluginError, match="'later' given"):
        default_plan("later", 0.5)
