"""Entries that tests make up."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from smc_harness.baseline.entries import Entries, Entry, Point, Precision, Subject
from smc_harness.cells import Verdict
from smc_harness.verdict.first_fail import FirstFail

SUBJECT = Subject("accuracy", "fraction", True, 2000, {0: 0.9}, {"steps": 60}, None)
OPTIONS = {"scope": "paper", "seed": 0, "limit": None}
ALL_PASS = FirstFail("t", "p", 0, 0.36, None, True, 0.36, None, (0,))


def point(
    value: float, level: float = 0.2, seed: int = 0, n: int = 2000, error: float | None = 0.01, key: str | None = None
) -> Point:
    return Point(level, seed, value, n, Verdict.PASS, None if error is None else Precision(error, n), key)


def entry(points: Iterable[Point], **other: Any) -> Entry:
    pruner = other.get("pruner", "p")
    usual = {
        "task": "t",
        "pruner": "p",
        "phase": "after",
        "params_digest": "d1",
        "versions": {"torch": "2.12.0"},
        "options": OPTIONS,
        "subject": SUBJECT,
        "first_fails": [replace(ALL_PASS, pruner=pruner)],
        "points": list(points),
    }
    return Entry(**usual | other)


def keyed(*found: Entry) -> Entries:
    return {(one.task, one.pruner): one for one in found}
