"""Three answers: below the tolerance, above it, or too close to tell."""

from __future__ import annotations

import numpy
import pytest
from scipy import stats

from smc_harness.cells import Verdict
from smc_harness.verdict.evidence import Evidence, Spread
from smc_harness.verdict.noninferiority import NonInferiority, needed_examples
from smc_harness.verdict.paired import Paired, p_at_least

RULE = NonInferiority(0.01)


def counted(n: int, dense: int, lost: int, gained: int, better: bool = True) -> Evidence:
    return Evidence((dense - lost + gained) / n, dense / n, n, better, Paired(n, lost, gained))


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (counted(2000, 1800, 10, 30), Verdict.PASS),
        (counted(2000, 1800, 100, 20), Verdict.FAIL),
        (counted(2000, 1800, 40, 20), Verdict.INCONCLUSIVE),
    ],
)
def test_the_verdict_follows_from_both_tests(found: Evidence, expected: Verdict) -> None:
    assert RULE.decide(found).verdict is expected


@pytest.mark.parametrize("right", [260, 261, 264])
@pytest.mark.parametrize("gained", [2, 5, 10])
def test_the_papers_five_per_cent_experiment_decides_nothing(right: int, gained: int) -> None:
    """ESM-1B on HP-S2C2: 267 of 282 right when dense; what turned round is not published, so several are tried."""
    found = RULE.decide(counted(282, 267, 267 - right + gained, gained))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.needed is not None and found.needed > 282


def test_the_interval_goes_with_the_verdict() -> None:
    passed, failed = RULE.decide(counted(2000, 1800, 10, 30)), RULE.decide(counted(2000, 1800, 100, 20))
    assert passed.high is not None and passed.high < 0.009
    assert failed.low is not None and failed.low > 0.009


def test_with_the_examples_that_are_said_to_be_needed_the_verdict_usually_comes() -> None:
    found = RULE.decide(counted(1000, 900, 40, 20))
    assert found.verdict is Verdict.INCONCLUSIVE and found.needed is not None
    n, draws = found.needed, numpy.random.default_rng(0)
    told = 0
    for _ in range(100):
        lost, gained, _ = draws.multinomial(n, [0.04, 0.02, 0.94])
        told += RULE.decide(counted(n, round(0.9 * n), lost, gained)).verdict is Verdict.FAIL
    assert 65 <= told <= 95  # 80 % of them, give or take 3.7 standard errors


def test_where_nothing_can_tell_no_number_is_given() -> None:
    assert needed_examples(100, 0.0) is None


def test_lower_is_better_turns_the_question_round() -> None:
    errors = counted(2000, 200, 30, 10, better=False)  # 30 errors fewer, 10 more
    assert RULE.decide(errors).verdict is Verdict.PASS


def test_a_spread_is_judged_by_students_t() -> None:
    spread = Spread(30, 0.04, 0.05, 0.03)
    found = RULE.decide(Evidence(40.0, 41.0, 900, chance=spread))
    error = (0.99**2 * 0.05 + 0.04 - 2 * 0.99 * 0.03) ** 0.5
    p = stats.t.cdf((0.99 * 41 - 40) / error, 29)
    assert (p > 0.95) == (found.verdict is Verdict.FAIL)
    plain = (0.05 + 0.04 - 0.06) ** 0.5
    assert (found.low, found.high) == (
        pytest.approx(1 - stats.t.ppf(0.95, 29) * plain),
        pytest.approx(1 + stats.t.ppf(0.95, 29) * plain),
    )


@pytest.mark.parametrize(("value", "expected"), [(40.9, Verdict.PASS), (39.0, Verdict.FAIL)])
def test_no_spread_at_all_leaves_the_scores(value: float, expected: Verdict) -> None:
    assert RULE.decide(Evidence(value, 41.0, 900, chance=Spread(30, 0.0, 0.0, 0.0))).verdict is expected


def test_a_loss_that_is_negative_has_its_margin_on_the_right_side() -> None:
    small = Spread(100, 1e-8, 1e-8, 0.0)  # log-likelihood per token, higher is better: -2.00 to -2.01 is 0.5 % worse
    assert RULE.decide(Evidence(-2.01, -2.0, 100, chance=small)).verdict is Verdict.PASS
    assert RULE.decide(Evidence(-2.03, -2.0, 100, chance=small)).verdict is Verdict.FAIL
    assert RULE.decide(Evidence(2.01, 2.0, 100, higher_is_better=False, chance=small)).verdict is Verdict.PASS
    assert RULE.decide(Evidence(2.03, 2.0, 100, higher_is_better=False, chance=small)).verdict is Verdict.FAIL


def test_without_outcomes_of_the_same_examples_nothing_is_concluded() -> None:
    assert RULE.decide(Evidence(0.9, 0.9, 100)).verdict is Verdict.INCONCLUSIVE


def test_the_tests_error_is_alpha() -> None:
    table = Paired(2000, 30, 20)
    p = p_at_least(table, 0.01 * 0.9)
    strict, lax = NonInferiority(0.01, alpha=p - 1e-3), NonInferiority(0.01, alpha=p + 1e-3)
    assert strict.decide(counted(2000, 1800, 30, 20)).verdict is Verdict.INCONCLUSIVE
    assert lax.decide(counted(2000, 1800, 30, 20)).verdict is Verdict.PASS
