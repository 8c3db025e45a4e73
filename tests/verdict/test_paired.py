"""Paired right and wrong answers: the statistic, its exact distribution, and how often a conclusion is wrong."""

from __future__ import annotations

import math

import numpy
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import optimize, stats
from statsmodels.stats.contingency_tables import mcnemar

from smc_harness.verdict.paired import RULED_OUT, Paired, interval, p_at_least, p_at_most, score

ALPHA = 0.05


@st.composite
def tables(draw: st.DrawFn, least: int = 1, most: int = 40) -> Paired:
    n = draw(st.integers(least, most))
    lost = draw(st.integers(0, n))
    return Paired(n, lost, draw(st.integers(0, n - lost)))


@pytest.mark.parametrize(("lost", "gained"), [(12, 5), (3, 9), (40, 40), (0, 1)])
def test_for_a_drop_of_zero_the_statistic_is_mcnemars(lost: int, gained: int) -> None:
    reference = mcnemar([[100, lost], [gained, 20]], exact=False, correction=False)
    assert float(score(lost, gained, 120 + lost + gained, 0.0)) ** 2 == pytest.approx(reference.statistic, abs=1e-9)


@settings(deadline=None)
@given(tables(), st.floats(0.001, 0.9))
def test_the_statistic_has_the_likeliest_chances_that_the_drop_allows(table: Paired, drop: float) -> None:
    def unlikelihood(gain: float) -> float:
        alike = table.n - table.lost - table.gained
        terms = ((table.gained, gain), (table.lost, gain + drop), (alike, 1 - 2 * gain - drop))
        return -sum(float(count * numpy.log(max(chance, 1e-300))) for count, chance in terms if count)

    found = optimize.minimize_scalar(
        unlikelihood, bounds=(0.0, (1 - drop) / 2), method="bounded", options={"xatol": 1e-12}
    )
    variance = table.n * (2 * found.x + drop - drop**2)
    expected = (table.lost - table.gained - table.n * drop) / math.sqrt(variance)
    assert float(score(table.lost, table.gained, table.n, drop)) == pytest.approx(expected, abs=2e-3, rel=2e-3)


@settings(deadline=None)
@given(tables(), st.floats(-0.9, 0.9))
def test_exchanging_the_models_turns_the_statistic(table: Paired, drop: float) -> None:
    turned = score(table.gained, table.lost, table.n, -drop)
    assert float(turned) == pytest.approx(-float(score(table.lost, table.gained, table.n, drop)), abs=1e-9)


@settings(deadline=None)
@given(st.integers(2, 60), st.floats(-0.5, 0.5))
def test_among_as_many_differing_questions_the_statistic_rises_with_the_losses(differing: int, drop: float) -> None:
    lost = numpy.arange(differing + 1)
    values = score(lost, differing - lost, 100, drop)
    assert (numpy.diff(values) > -1e-9).all()


def brute_force(table: Paired, margin: float) -> float:
    """The worst tail over a fine grid of chances, every table of n questions looked at."""
    n = table.n
    every = [(lost, gained) for lost in range(n + 1) for gained in range(n + 1 - lost)]
    least = float(score(table.lost, table.gained, n, margin))
    low = [pair for pair in every if float(score(*pair, n, margin)) <= least + 1e-9]
    limits = stats.binomtest(table.gained, n).proportion_ci(1 - RULED_OUT, method="exact")
    worst = 0.0
    for gain in numpy.linspace(max(limits.low, -margin, 0), min(limits.high, (1 - margin) / 2), 61):
        chances = numpy.clip([gain + margin, gain, 1 - 2 * gain - margin], 0, 1)
        found = stats.multinomial.pmf(
            [[lost, gained, n - lost - gained] for lost, gained in low], n, chances / chances.sum()
        )
        worst = max(worst, float(found.sum()))
    return min(1.0, worst + RULED_OUT)


@pytest.mark.parametrize("margin", [0.0, 0.01, 0.1, 0.3, -0.1])
@pytest.mark.parametrize(
    "table", [Paired(12, 1, 0), Paired(12, 3, 4), Paired(12, 0, 0), Paired(9, 0, 5), Paired(12, 12, 0)]
)
def test_p_values_are_those_of_counting_every_table(table: Paired, margin: float) -> None:
    assert p_at_least(table, margin) == pytest.approx(brute_force(table, margin), abs=1e-6)


def wrongly_passed(n: int, differing: float, drop: float) -> float:
    """The exact probability that a model whose drop is the margin is found good enough."""

    def passes(lost: int, m: int) -> bool:
        return p_at_least(Paired(n, lost, m - lost), drop) <= ALPHA

    loss, found = (differing + drop) / 2, 0.0
    first, last = stats.binom.ppf([1e-6, 1 - 1e-6], n, differing).astype(int)
    most = next((lost for lost in range(first, -1, -1) if passes(lost, first)), -1)
    for m in range(first, last + 1):
        while most < m and passes(most + 1, m):  # of more differing questions, as many losses or more may pass
            most += 1
        found += float(stats.binom.pmf(m, n, differing) * stats.binom.cdf(most, m, loss / differing))
    return found


@pytest.mark.parametrize(
    ("n", "differing", "drop"), [(200, 0.02, 0.02), (200, 0.03, 0.005), (200, 0.1, 0.1), (282, 0.05, 0.01)]
)
def test_a_drop_of_the_margin_seldom_passes(n: int, differing: float, drop: float) -> None:
    assert wrongly_passed(n, differing, drop) <= ALPHA


@pytest.mark.slow
@pytest.mark.parametrize("n", [200, 500, 1000, 2000, 5000])
@pytest.mark.parametrize("differing", [0.02, 0.05, 0.3])
@pytest.mark.parametrize("drop", [0.01, 0.02])
def test_a_drop_of_the_margin_seldom_passes_at_any_size(n: int, differing: float, drop: float) -> None:
    size = wrongly_passed(n, differing, drop)
    assert size <= ALPHA
    if n * differing >= 100 and drop < differing:
        assert size > 0.045  # careful is not wasteful where there is enough to see


@settings(deadline=None, max_examples=40)
@given(tables(20), st.floats(-0.4, 0.4), st.floats(0.01, 0.4))
@example(Paired(20, 11, 6), -0.25, 0.125)  # 0.9972 and 1: far from any decision, the counts are too coarse for an order
def test_a_larger_margin_is_easier_to_stay_below(table: Paired, margin: float, more: float) -> None:
    smaller, larger = p_at_least(table, margin), p_at_least(table, margin + more)
    assert larger <= smaller + 1e-9 or smaller > 0.5


def test_a_margin_that_no_chances_allow_is_decided_by_its_side() -> None:
    table = Paired(215, 27, 16)  # its chance of a gain is far below 0.35, which a drop of -0.35 needs
    assert (p_at_least(table, -0.35), p_at_most(table, -0.35)) == (1.0, pytest.approx(RULED_OUT))
    assert p_at_most(Paired(2000, 0, 1), 0.01) == 1.0


@settings(deadline=None, max_examples=20)
@given(tables())
def test_the_interval_holds_the_observed_drop(table: Paired) -> None:
    low, high = interval(table)
    assert -1.0 <= low <= table.drop + 1e-6 and table.drop - 1e-6 <= high <= 1.0


def test_the_interval_is_what_the_tests_do_not_refuse() -> None:
    table = Paired(282, 7, 4)
    low, high = interval(table)
    assert p_at_least(table, high + 1e-4) < ALPHA < p_at_least(table, high - 1e-4)
    assert p_at_most(table, low - 1e-4) < ALPHA < p_at_most(table, low + 1e-4)


@pytest.mark.parametrize("n", [1, 2, 10])
def test_few_equal_answers_prove_nothing(n: int) -> None:
    table = Paired(n, 0, 0)
    assert p_at_least(table, 0.01) > 0.5 and p_at_most(table, 0.01) > 0.5


def test_many_equal_answers_prove_that_nothing_was_lost() -> None:
    # no loss in n questions has probability 0.99^n where the drop is 1 % and all of it losses; with gains, some more
    assert 0.99**500 < p_at_least(Paired(500, 0, 0), 0.01) < 2 * 0.99**500


def test_everything_lost_is_beyond_doubt() -> None:
    assert p_at_most(Paired(50, 50, 0), 0.01) < 1e-3 and p_at_least(Paired(50, 50, 0), 0.01) > 0.999


def test_as_many_losses_as_gains_are_no_drop_and_no_proof() -> None:
    table = Paired(300, 30, 30)
    assert table.drop == 0 and p_at_least(table, 0.01) > ALPHA and p_at_most(table, 0.01) > ALPHA


@pytest.mark.parametrize("counts", [(0, 0, 0), (5, 3, 3), (5, -1, 0)])
def test_counts_that_cannot_be_are_refused(counts: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="expected counts of at most n questions"):
        Paired(*counts)
