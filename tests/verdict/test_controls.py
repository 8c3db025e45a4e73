from __future__ import annotations

import pytest

from smc_harness.cells import Verdict
from smc_harness.verdict.controls import Comparison, compare
from smc_harness.verdict.first_fail import FirstFail


def found(pruner: str, first_fail: float | None, **changes) -> FirstFail:
    values = {"last_pass": None, "monotone": True, "highest": 0.9, "unsettled": None} | changes
    return FirstFail("csqa", pruner, 0, first_fail=first_fail, **values)


@pytest.mark.parametrize(
    ("own", "control", "against", "beats"),
    [
        (0.5, 0.2, 1, True),
        (None, 0.2, 1, True),
        (0.2, 0.2, 0, False),
        (0.2, 0.5, -1, False),
        (0.2, None, -1, False),
        (None, None, 0, False),
    ],
)
def test_a_method_beats_a_control_that_fails_at_a_lower_level(own, control, against, beats) -> None:
    (compared,) = compare([found("snip", own), found("snip~random", 0.1), found("snip~own-ratios", control)])
    assert compared == Comparison("csqa", "snip", 0, 1, against)
    assert compared.to_json() == {
        "task": "csqa",
        "pruner": "snip",
        "seed": 0,
        "beats_random": True,
        "beats_own_ratios": beats,
    }


@pytest.mark.parametrize(
    ("first_fail", "changes"),
    [(None, {"highest": None}), (None, {"unsettled": Verdict.ERROR}), (0.5, {"unsettled": Verdict.ERROR})],
)
def test_what_has_no_sure_first_fail_is_not_compared(first_fail, changes) -> None:
    (compared,) = compare([found("snip", first_fail, **changes), found("snip~own-ratios", 0.2)])
    assert compared.to_json()["beats_own_ratios"] is None and compared.to_json()["beats_random"] is None


def test_pruners_without_controls_are_not_compared() -> None:
    assert compare([found("snip", 0.2), found("gmp", 0.5)]) == []
