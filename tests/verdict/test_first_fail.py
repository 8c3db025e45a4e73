from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smc_harness.cells import Cell, CellResult, Verdict
from smc_harness.verdict.first_fail import FirstFail, first_fails

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
    }
    assert found("..F-").to_json() == expected


@given(st.text("".join(LETTERS), max_size=4))
def test_a_pass_never_lies_at_or_above_the_first_fail(letters: str) -> None:
    for one in first_fails(results(letters)):
        if one.last_pass is not None and one.first_fail is not None:
            assert one.last_pass < one.first_fail
        assert one.monotone or one.first_fail is not None
        assert one.highest is None or one.highest >= max(one.last_pass or 0, one.first_fail or 0)
