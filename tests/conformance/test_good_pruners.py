"""No check calls a pruner bad that is only unusual."""

from __future__ import annotations

import pytest

from smc_harness.testing import check_pruner
from tests.conformance import good_pruners as good

pytestmark = pytest.mark.slow

UNUSUAL = [
    good.LinearSchedule,
    good.FromStateAlone,
    good.OfScipy,
    good.StartsAnywhere,
    good.OneRung,
    good.PartWay,
    good.ApplyOnly,
    good.HooksAndTakesThemOff,
]


@pytest.mark.parametrize("pruner", UNUSUAL, ids=lambda pruner: pruner.name)
def test_it_conforms(pruner: type) -> None:
    report = check_pruner(pruner)
    assert report.ok, str(report)


@pytest.mark.parametrize("pattern", ["2:4", "1:4", "4x4", "32x1"])
def test_it_conforms_under_a_pattern(pattern: str) -> None:
    report = check_pruner(good.Magnitude, parameters={"pattern": pattern})
    assert report.ok, str(report)


@pytest.mark.parametrize("allocation", ["uniform", "erk", "rows"])
def test_it_conforms_under_an_allocation(allocation: str) -> None:
    report = check_pruner("snip", parameters={"allocation": allocation})
    assert report.ok, str(report)
