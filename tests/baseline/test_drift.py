from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from smc_harness.baseline.drift import drift, has_same_examples, is_comparable
from tests.baseline.making import OPTIONS, SUBJECT, entry

OLD = entry([])


def subject(**other: Any) -> Any:
    return replace(OLD, subject=replace(SUBJECT, **other))


@pytest.mark.parametrize(
    ("new", "lines"),
    [
        (OLD, []),
        (replace(OLD, versions={"torch": "2.13.0"}), ["torch 2.12.0 -> 2.13.0"]),
        (replace(OLD, versions={}), ["torch 2.12.0 -> none"]),
        (replace(OLD, options=OPTIONS | {"limit": 10}), ["limit none -> 10"]),
        (replace(OLD, params_digest="d2"), ["parameters of p d1 -> d2"]),
        (subject(params={"steps": 80, "seen\n": []}), ["t.seen\\n none -> []", "t.steps 60 -> 80"]),
        (subject(n=100, metric="F1"), ["metric of t accuracy -> F1", "n of t 2000 -> 100"]),
        (subject(dense={0: 0.9 + 1e-9}), []),
        (subject(dense={0: 0.91}), ["dense score of t seed 0 0.9 -> 0.91"]),
        (subject(dense={0: 0.9, 1: 0.8}), []),
        (subject(data={0: "ab"}), ["data of t seed 0 none -> ab"]),
    ],
)
def test_each_thing_that_is_other_than_it_was_is_a_line(new: Any, lines: list[str]) -> None:
    assert [str(found) for found in drift(OLD, new)] == lines


def test_more_seeds_are_no_drift() -> None:
    old, new = subject(data={0: "ab"}), subject(data={0: "ab", 1: "cd"})
    assert drift(old, new) == []
    assert has_same_examples(old, new)


@pytest.mark.parametrize(
    ("new", "same"),
    [
        (OLD, True),
        (replace(OLD, versions={"torch": "3"}, params_digest="d2"), True),
        (replace(OLD, options=OPTIONS | {"seed": 1}), False),
        (subject(params={}), False),
        (subject(data={0: "ab"}), False),
    ],
)
def test_examples_are_others_where_what_they_follow_from_is(new: Any, same: bool) -> None:
    assert has_same_examples(OLD, new) is same


@pytest.mark.parametrize("other", [{"metric": "F1"}, {"unit": "points"}, {"higher_is_better": False}])
def test_scores_of_another_kind_cannot_be_compared(other: Any) -> None:
    assert is_comparable(OLD, subject(n=3))
    assert not is_comparable(OLD, subject(**other))
