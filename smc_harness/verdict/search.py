"""Which level of a trajectory to measure next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from smc_harness.cells import CellResult, Verdict

SEARCHES = ("until-fail", "grid", "bisect")
_SAME = 1e-9
GAP = 4
"""A run of more than a quarter of the levels that a bisection did not look into gets a guard in its middle."""


@dataclass(frozen=True)
class Search:
    """How the levels of a trajectory are chosen.

    name: one of `SEARCHES`. resolution: levels between those asked for are measured, too, until the first-fail is known
    as closely as this; None: they are not.
    """

    name: str = "until-fail"
    resolution: float | None = None

    def of(self, phase: str, levels: Sequence[float] = ()) -> Search:
        """How a pruner is searched. phase: one that gets to a level by way of the lower ones does not jump. levels:
        those at which alone it exists, if it has some.
        """
        name = "until-fail" if self.name == "bisect" and phase == "iterative" else self.name
        return Search(name, None if levels else self.resolution)

    def next(self, levels: Sequence[float], verdicts: Mapping[float, Verdict]) -> float | None:
        """The next level to measure, or None if no further one is needed; see `next_level`.

        It is none of `levels` where it refines what they left open; it is among them in the call that follows.
        """
        level = next_level(self.name, levels, verdicts)
        return level if level is not None or self.resolution is None else _between(self.resolution, verdicts)


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


def saved(search: Search, results: Iterable[CellResult]) -> int:
    """Cells that were not run since the search did without them, and not since the run ended early."""
    trajectories: dict[tuple[str, str, int], dict[float, CellResult]] = {}
    for result in results:
        cell = result.cell
        trajectories.setdefault((cell.task, cell.pruner, cell.seed), {})[cell.level] = result
    spared = 0
    for found in trajectories.values():
        verdicts = {level: r.verdict for level, r in found.items() if r.verdict is not Verdict.NOT_RUN}
        phase = next(iter(found.values())).cell.phase
        if next_level(search.of(phase).name, sorted(found), verdicts) is None:
            spared += len(found) - len(verdicts)
    return spared


def _between(resolution: float, verdicts: Mapping[float, Verdict]) -> float | None:
    """A multiple of the resolution halfway between the last pass, or nothing pruned, and the first fail.

    Where levels in between have neither verdict, what is next to the one and to the other is looked into.
    """
    measured = sorted(level for level, verdict in verdicts.items() if verdict is not Verdict.NOT_RUN)
    fail = next((level for level in measured if verdicts[level] is Verdict.FAIL), None)
    if not fail:
        return None
    below = [level for level in measured if level < fail]
    passed = max((level for level in below if verdicts[level] is Verdict.PASS), default=0.0)
    above = next(level for level in measured if level > passed)
    for low, high in ((passed, above), (max([*below, passed]), fail)):
        multiples = range(round(low / resolution), round(high / resolution) + 1)
        inside = [level for k in multiples if low + _SAME < (level := round(k * resolution, 10)) < high - _SAME]
        if inside:
            return inside[len(inside) // 2]
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
