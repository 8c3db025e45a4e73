from __future__ import annotations

from typing import Any

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smc_harness.cells import Cell, CellResult, Judgement, Verdict
from smc_harness.verdict.first_fail import Confidence, FirstFail, first_fails, over_seeds

LETTERS = {
    ".": Verdict.PASS,
    "F": Verdict.FAIL,
    "E": Verdict.ERROR,
    "s": Verdict.SKIPPED,
    "?": Verdict.INCONCLUSIVE,
    "-": Verdict.NOT_RUN,
}
LEVELS = (0.2, 0.36, 0.488, 0.59)


def results(letters: str, pruner: str = "p", seed: int = 0) -> list[CellResult]:
    return [
        CellResult(Cell("t", pruner, level, seed), LETTERS[letter], "accuracy")
        for level, letter in zip(LEVELS, letters, strict=False)
    ]


def found(letters: str) -> FirstFail:
    (one,) = first_fails(results(letters))
    return one


@pytest.mark.parametrize(
    ("letters", "last_pass", "first_fail", "monotone"),
    [
        ("....", 0.59, None, True),
        ("..F-", 0.36, 0.488, True),
        ("F---", None, 0.2, True),
        ("FFFF", None, 0.2, True),
        (".F.F", 0.2, 0.36, False),
        ("F..F", None, 0.2, False),
        ("..FF", 0.36, 0.488, True),
        (".E.F", 0.488, 0.59, True),
        (".EF-", 0.2, 0.488, True),
        ("EEF-", None, 0.488, True),
        ("E...", 0.59, None, True),
        ("EEEE", None, None, True),
        ("ssss", None, None, True),
        (".??F", 0.2, 0.59, True),
        ("----", None, None, True),
    ],
)
def test_the_interval_runs_from_the_last_pass_below_to_the_first_fail(
    letters: str, last_pass: float | None, first_fail: float | None, monotone: bool
) -> None:
    one = found(letters)
    assert (one.last_pass, one.first_fail, one.monotone) == (last_pass, first_fail, monotone)


@pytest.mark.parametrize(
    ("letters", "highest", "unsettled"),
    [
        ("....", 0.59, None),
        ("..F-", 0.488, None),
        ("..EE", 0.36, Verdict.ERROR),
        ("ssss", None, Verdict.SKIPPED),
        ("s?E.", 0.59, Verdict.ERROR),
        ("????", None, Verdict.INCONCLUSIVE),
        ("----", None, None),
    ],
)
def test_what_has_no_verdict_is_told_apart(letters: str, highest: float | None, unsettled: Verdict | None) -> None:
    one = found(letters)
    assert (one.highest, one.unsettled) == (highest, unsettled)


def test_there_is_one_a_trajectory_in_order_of_appearance() -> None:
    several = [*results("..F", "b"), *results("F", "a"), *results("..", "b", seed=1)]
    assert [(one.pruner, one.seed, one.first_fail) for one in first_fails(several)] == [
        ("b", 0, 0.488),
        ("a", 0, 0.2),
        ("b", 1, None),
    ]
    assert first_fails([]) == []


def test_the_order_of_results_does_not_matter() -> None:
    assert first_fails(results(".F.F")[::-1]) == first_fails(results(".F.F"))


def test_json_has_the_promised_fields() -> None:
    expected: dict[str, Any] = {
        "task": "t",
        "pruner": "p",
        "seed": 0,
        "last_pass": 0.36,
        "first_fail": 0.488,
        "monotone": True,
        "confidence": None,
    }
    assert found("..F-").to_json() == expected


def sure(*p_values: tuple[float, float] | None, missing: int = 0) -> Confidence | None:
    """From (within, beyond) at each level. missing: levels above that were not run."""
    cells = [
        CellResult(
            Cell("t", "p", place / 100, 0),
            Verdict.INCONCLUSIVE if pair else Verdict.NOT_RUN,
            "accuracy",
            judgement=Judgement(Verdict.INCONCLUSIVE, within=pair[0], beyond=pair[1]) if pair else None,
        )
        for place, pair in enumerate([*p_values, *[None] * missing])
    ]
    (one,) = first_fails(cells)
    return one.confidence


def test_the_lower_end_goes_up_to_the_first_level_that_is_not_surely_within() -> None:
    assert sure((0.01, 1.0), (0.05, 1.0), (0.2, 0.8), (0.01, 1.0)) == Confidence(0.01, None)
    assert sure((0.2, 0.8), (0.01, 1.0)) == Confidence(None, None)


def test_the_upper_end_asks_more_the_more_levels_there_are() -> None:
    assert sure((0.01, 1.0), (0.98, 0.02)) == Confidence(0.0, 0.01)
    assert sure((0.01, 1.0), (0.98, 0.02), missing=8) == Confidence(0.0, None)
    assert sure((0.01, 1.0), (0.98, 0.004), missing=8) == Confidence(0.0, 0.01)


def test_above_a_level_that_was_passed_over_more_is_asked() -> None:
    # of four levels, each is tested at 5 % / 4 then
    assert sure((0.01, 1.0), None, (0.01, 1.0), (0.013, 1.0)) == Confidence(0.02, None)
    assert sure(None, (0.04, 1.0)) == Confidence(None, None)


def test_levels_that_the_search_added_are_no_part_of_the_set() -> None:
    def cell(level: float, verdict: Verdict, within: float, beyond: float, added: bool) -> CellResult:
        judgement = Judgement(verdict, within=within, beyond=beyond)
        return CellResult(Cell("t", "p", level, 0, added=added), verdict, "accuracy", judgement=judgement)

    asked = [cell(0.2, Verdict.PASS, 0.001, 1.0, False), cell(0.5, Verdict.FAIL, 1.0, 0.001, False)]
    clear = [cell(0.3, Verdict.PASS, 0.01, 1.0, True), cell(0.4, Verdict.FAIL, 1.0, 0.01, True)]
    close = [cell(0.3, Verdict.PASS, 0.3, 0.7, True), cell(0.4, Verdict.FAIL, 1.0, 0.01, True)]
    for between, doubtful in ((clear, False), (close, True)):
        (found,) = first_fails([*asked, *between])
        assert (found.last_pass, found.first_fail) == (0.3, 0.4)
        assert (found.confidence, found.doubtful) == (Confidence(0.2, 0.5), doubtful)


def test_scores_alone_have_no_confidence_set() -> None:
    assert sure(None, None) is None


def test_each_end_is_wrong_for_one_curve_in_twenty_at_most() -> None:
    """At the tolerance itself p-values are uniform; levels beyond come after those that are just within."""
    draws = numpy.random.default_rng(0).random((4000, 10))
    high = [sure(*((1 - p, p) for p in row)) for row in draws]  # all are within, by a hair: no level is beyond
    low = [sure((0.0, 1.0), *((p, 1 - p) for p in row)) for row in draws]  # all but the first are beyond, by a hair
    error = 3 * (0.05 * 0.95 / len(draws)) ** 0.5
    assert sum(one is not None and one.high is not None for one in high) / len(draws) <= 0.05 + error
    assert sum(one is not None and one.low != 0.0 for one in low) / len(draws) <= 0.05 + error


def test_over_seeds_the_middle_one_stands_for_all() -> None:
    several = [*results("..F", seed=0), *results("F", seed=1), *results(".F", seed=2), *results("....", seed=3)]
    (one,) = over_seeds(first_fails(several))
    assert (one.median.seed, one.lowest.seed, one.highest.seed, one.seeds) == (2, 1, 3, (0, 1, 2, 3))
    assert one.to_json()["median"] == {"seed": 2, "last_pass": 0.2, "first_fail": 0.36}


def test_a_seed_without_a_verdict_does_not_count_among_the_seeds() -> None:
    several = [*results("..F", seed=0), *results("EEE", seed=1), *results(".F", seed=2)]
    (one,) = over_seeds(first_fails(several))
    assert one.seeds == (0, 2)


def test_one_seed_is_not_summed_up() -> None:
    assert over_seeds(first_fails([*results("..F"), *results("EE", seed=1), *results("F", "other")])) == []


@given(st.text("".join(LETTERS), max_size=4))
def test_a_pass_never_lies_at_or_above_the_first_fail(letters: str) -> None:
    for one in first_fails(results(letters)):
        if one.last_pass is not None and one.first_fail is not None:
            assert one.last_pass < one.first_fail
        assert one.monotone or one.first_fail is not None
        assert one.highest is None or one.highest >= max(one.last_pass or 0, one.first_fail or 0)
