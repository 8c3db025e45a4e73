from __future__ import annotations

from typing import Any

import pytest

from smc_harness.documents.strict import NUMBER, member, members


def test_a_member_of_its_kind_is_given_back() -> None:
    assert member({"a": 1}, "a", NUMBER) == 1
    assert member({"a": True}, "a", bool) is True
    assert members({"a": ["x", "y"]}, "a", str, "at") == [("at.a[0]", "x"), ("at.a[1]", "y")]


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        ({}, "at.a is missing"),
        ([], "at.a is missing"),
        ({"a": "1"}, "at.a is '1'"),
        ({"a": True}, "at.a is True"),
        ({"a": float("inf")}, "at.a is inf"),
        ({"a": "x" * 99}, f"at.a is '{'x' * 39}..."),
    ],
)
def test_any_other_is_refused_with_its_place(found: Any, reason: str) -> None:
    with pytest.raises(ValueError, match="^at.a is") as raised:
        member(found, "a", NUMBER, "at")
    assert str(raised.value) == reason
