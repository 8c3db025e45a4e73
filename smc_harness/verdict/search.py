"""Which level of a trajectory to measure next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from smc_harness.cells import Verdict

SEARCHES = ("until-fail", "grid", "bisect")
GAP = 4
"""A run of more than a quarter of the levels that a bisection did not look into gets a guard in its middle."""


def search_for(wanted: str, phase: str) -> str:
    """How a pruner of a phase is searched: one that gets to a level by way of the lower ones does not jump."""
    return "until-fail" if wanted == "bisect" and phase == "iterative" else wanted


def next_level(search: str, levels: Sequence[float], verdicts: Mapping[float, Verdict]) -> float | None:
    """The next level to measure, or None if no further one is needed.

    levels: ascending. verdicts: of the levels measured so far. The answer depends on nothing else, so the driver, a
    worker and a resumed run agree. grid: every level. until-fail: upwards to the first fail; an error does not end it.
    bisect: halves what lies between the highest pass and the lowest fail above it; then guards look into the longest
    runs that were passed over, since a curve that is not monotone would not show. What is over within a quarter of the
    levels can still be missed.
    """
    if search == "bisect":
        return _bisect(levels, verdicts)
    for level in levels:
        verdict = verdicts.get(level)
        if verdict is None:
            return level
        if search == "until-fail" and verdict is Verdict.FAIL:
            return None
    return None


def _bisect(levels: Sequence[float], verdicts: Mapping[float, Verdict]) -> float | None:
    found = [verdicts.get(level) for level in levels]
    fail = next((place for place, verdict in enumerate(found) if verdict is Verdict.FAIL), len(levels))
    passed = max((place for place in range(fail) if found[place] is Verdict.PASS), default=-1)
    between = [place for place in range(passed + 1, fail) if found[place] is None]
    if between:
        middle = (passed + fail) / 2
        return levels[min(between, key=lambda place: (abs(place - middle), place))]
    runs = _unmeasured(found)
    longest = max(runs, key=len, default=range(0))
    return levels[longest[len(longest) // 2]] if len(longest) * GAP > len(levels) else None


def _unmeasured(found: Sequence[Verdict | None]) -> list[range]:
    """Runs of places without a verdict."""
    runs, start = [], 0
    for place in range(len(found) + 1):
        if place == len(found) or found[place] is not None:
            runs.append(range(start, place))
            start = place + 1
    return runs
