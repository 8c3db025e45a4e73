"""The page on checks follows from the kit."""

from __future__ import annotations

import pytest

from docs.generate import checks as page
from smc_harness.conformance import checks
from smc_harness.conformance.check import Check


def test_the_page_is_what_the_kit_says() -> None:
    assert page.PAGE.read_text(encoding="utf-8") == page.page(), "python -m docs.generate writes it anew"


@pytest.mark.parametrize("check", [*checks.PRUNER, *checks.TASK], ids=lambda check: check.name)
def test_a_check_says_what_holds_in_a_sentence(check: Check) -> None:
    assert check.promise.endswith(".")
