"""First-fail: the smallest level whose verdict is fail, as an interval."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from smc_harness.cells import CellResult, Verdict
from smc_harness.verdict.rule import ALPHA


@dataclass(frozen=True)
class Confidence:
    """The true first-fail is above `low` and not above `high`; each of the two is wrong for one curve in twenty.

    Both are levels that were asked for: those that a search adds follow from what it found. low: every level up to it
    is surely within the tolerance: tested from the lowest level upwards, each at `ALPHA`, up to the first that is not
    (a fixed sequence, which keeps the error of all together). Above a level that was passed over, for which a monotone
    curve is supposed, each is tested at `ALPHA` over the number of levels. high: the smallest level that is surely
    beyond the tolerance, at `ALPHA` over the number of levels (Bonferroni), since the smallest of many is chosen. None
    where no level is.
    """

    low: float | None
    high: float | None


@dataclass(frozen=True)
class FirstFail:
    """Of one trajectory, or of those of several seeds that are judged together.

    seed: its seed, or the first of its `seeds`.
    last_pass: the highest passing level below first_fail (or of all, where none failed); None where none passed.
    first_fail: the smallest failing level; None where none failed. monotone: no level above first_fail passed.
    highest: the highest level that has a verdict of pass or fail; None where there is none.
    unsettled: what became of cells that have neither verdict, the worst first; None where nothing did.
    confidence: None where nothing is known but the scores. doubtful: the confidence set is wider than the interval.
    """

    task: str
    pruner: str
    seed: int
    last_pass: float | None
    first_fail: float | None
    monotone: bool
    highest: float | None
    unsettled: Verdict | None
    seeds: tuple[int, ...] = ()
    confidence: Confidence | None = None
    doubtful: bool = False

    @property
    def settled(self) -> bool:
        """Whether it is known where it fails, or up to where it does not."""
        return self.unsettled is None and (self.first_fail is not None or self.highest is not None)

    def to_json(self) -> dict[str, Any]:
        """The object of the `first_fail` list of `--json`."""
        wanted = ("task", "pruner", "seed", "last_pass", "first_fail", "monotone", "confidence")
        found = {key: value for key, value in asdict(self).items() if key in wanted}
        return found | ({"seeds": list(self.seeds)} if len(self.seeds) > 1 else {})


def first_fails(results: Iterable[CellResult]) -> list[FirstFail]:
    """One per trajectory, in the order in which the trajectories first appear."""
    trajectories: dict[tuple[str, str, tuple[int, ...]], dict[float, CellResult]] = {}
    for result in results:
        found = trajectories.setdefault(result.cell.trajectory, {})
        # of seeds that are judged together, those that could be measured have the verdict
        if (known := found.get(result.cell.level)) is None or not known.verdict.decided:
            found[result.cell.level] = result
    return [_of(*names, found) for names, found in trajectories.items()]


def _of(task: str, pruner: str, seeds: tuple[int, ...], results: Mapping[float, CellResult]) -> FirstFail:
    verdicts = {level: result.verdict for level, result in results.items()}
    failed = [level for level, verdict in verdicts.items() if verdict is Verdict.FAIL]
    passed = [level for level, verdict in verdicts.items() if verdict is Verdict.PASS]
    first = min(failed, default=None)
    below = [level for level in passed if first is None or level < first]
    unsettled = next(
        (v for v in (Verdict.ERROR, Verdict.INCONCLUSIVE, Verdict.SKIPPED) if v in verdicts.values()), None
    )
    last = max(below, default=None)
    confidence = _confidence(list(results.values()))
    return FirstFail(
        task,
        pruner,
        seeds[0],
        last_pass=last,
        first_fail=first,
        monotone=len(below) == len(passed),
        highest=max(failed + passed, default=None),
        unsettled=unsettled,
        seeds=seeds,
        confidence=confidence,
        doubtful=confidence is not None and _is_doubtful(confidence, results, last, first),
    )


def _confidence(results: Sequence[CellResult]) -> Confidence | None:
    """From the p-values of the levels that were asked for."""
    asked = sorted((r for r in results if not r.cell.added), key=lambda result: result.cell.level)
    if not any(_p_values(result) for result in asked):
        return None
    low, high, careful = None, None, ALPHA / len(asked)
    threshold, within = ALPHA, True
    for result in asked:
        if result.verdict is Verdict.NOT_RUN:
            threshold = careful
            continue
        p_within, p_beyond = _p_values(result) or (1.0, 1.0)
        within = within and p_within <= threshold
        low = result.cell.level if within else low
        high = result.cell.level if high is None and p_beyond <= careful else high
    return Confidence(low, high)


def _p_values(result: CellResult) -> tuple[float, float] | None:
    found = result.judgement
    return None if found is None or found.within is None or found.beyond is None else (found.within, found.beyond)


def _is_doubtful(
    sure: Confidence, results: Mapping[float, CellResult], last: float | None, first: float | None
) -> bool:
    """Whether an end of the interval is less sure than it looks: of a level that was added, by its own p-value."""

    def is_sure(end: float | None, side: int, ends: float | None) -> bool:
        if end is None or not results[end].cell.added:
            return end == ends
        p_values = _p_values(results[end])
        return p_values is not None and p_values[side] <= ALPHA

    return not (is_sure(last, 0, sure.low) and is_sure(first, 1, sure.high))


@dataclass(frozen=True)
class OverSeeds:
    """First-fails of one pruner on one task over seeds that are judged one by one.

    median: of the seeds that have one, in the order of their first fails, the middle one; of an even number the lower.
    lowest, highest: those that fail first and last.
    """

    task: str
    pruner: str
    seeds: tuple[int, ...]
    median: FirstFail
    lowest: FirstFail
    highest: FirstFail

    def to_json(self) -> dict[str, Any]:
        """The object of the `over_seeds` list of `--json`."""
        ends = {name: getattr(self, name).to_json() for name in ("median", "lowest", "highest")}
        wanted = ("seed", "last_pass", "first_fail")
        shown = {name: {key: found[key] for key in wanted} for name, found in ends.items()}
        return {"task": self.task, "pruner": self.pruner, "seeds": list(self.seeds)} | shown


def over_seeds(found: Iterable[FirstFail]) -> list[OverSeeds]:
    """One for each (task, pruner) that has a first-fail, or is known to have none, for more than one seed."""
    groups: dict[tuple[str, str], list[FirstFail]] = {}
    for item in found:
        if item.first_fail is not None or item.highest is not None:
            groups.setdefault((item.task, item.pruner), []).append(item)
    return [_over(*names, sorted(items, key=order)) for names, items in groups.items() if len(items) > 1]


def order(found: FirstFail) -> tuple[float, float, int]:
    """By where it fails, the lowest level first; those that nowhere fail come last, by how far they were followed."""
    level = math.inf if found.first_fail is None else found.first_fail
    return level, (found.last_pass or 0.0), found.seed


def _over(task: str, pruner: str, items: Sequence[FirstFail]) -> OverSeeds:
    seeds = tuple(sorted(seed for item in items for seed in item.seeds or (item.seed,)))
    return OverSeeds(task, pruner, seeds, items[(len(items) - 1) // 2], items[0], items[-1])
