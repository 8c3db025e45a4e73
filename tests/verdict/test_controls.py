from __future__ import annotations

import pytest

from smc_harness.cells import Verdict
from smc_harness.verdict.controls import Comparison, compare
from smc_harness.verdict.first_fail import FirstFail


def found(pruner: str, first_fail: float | None, **changes) -> FirstFail:
    values = {"last_pass": None, "monotone": True, "highest": 0.9, "unsettled": None} | changes
    return FirstFail("csqa", pruner, 0, first_fail=first_fail, **values)


@pytest.mark.parametrize(
    ("own", "control", "beats"),
    [
        (0.5, 0.2, True),
        (None, 0.2, True),
        (0.2, 0.2, False),
        (0.2, 0.5, False),
        (0.2, None, False),
        (None, None, False),
    ],
)
def test_a_method_beats_a_control_that_fails_at_a_lower_level(own, control, beats) -> None:
    (compared,) = compare([found("snip", own), found("snip~random", 0.1), found("snip~own-ratios", control)])
    assert compared == Comparison("csqa", "snip", 0, True, beats)


@pytest.mark.parametrize("changes", [{"highest": None}, {"unsettled": Verdict.ERROR}])
def test_what_has_no_first_fail_yet_is_not_compared(changes) -> None:
    (compared,) = compare([found("snip", None, **changes), found("snip~own-ratios", 0.2)])
    assert compared.beats_own_ratios is None and compared.beats_random is None


def test_pruners_without_controls_are_not_compared() -> None:
    assert compare([found("snip", 0.2), found("gmp", 0.5)]) == []
