"""Which level of a trajectory to measure next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from smc_harness.cells import Verdict

SEARCHES = ("until-fail", "grid")


def next_level(search: str, levels: Sequence[float], verdicts: Mapping[float, Verdict]) -> float | None:
    """The next level to measure, or None if no further one is needed.

    levels: ascending. verdicts: of the levels measured so far. The answer depends on nothing else, so the driver, a
    worker and a resumed run agree. grid: every level. until-fail: upwards to the first fail; an error does not end it.
    """
    for level in levels:
        verdict = verdicts.get(level)
        if verdict is None:
            return level
        if search == "until-fail" and verdict is Verdict.FAIL:
            return None
    return None
