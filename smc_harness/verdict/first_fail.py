"""First-fail: the smallest level whose verdict is fail, as an interval."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from smc_harness.cells import CellResult, Verdict


@dataclass(frozen=True)
class FirstFail:
    """Of one trajectory, or of those of several folds that are judged together.

    seed: its seed, or the first of its `seeds`.
    last_pass: the highest passing level below first_fail (or of all, where none failed); None where none passed.
    first_fail: the smallest failing level; None where none failed. monotone: no level above first_fail passed.
    highest: the highest level that has a verdict of pass or fail; None where there is none.
    unsettled: what became of cells that have neither verdict, the worst first; None where nothing did.
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

    def to_json(self) -> dict[str, Any]:
        """The object of the `first_fail` list of `--json`."""
        wanted = ("task", "pruner", "seed", "last_pass", "first_fail", "monotone")
        found = {key: value for key, value in asdict(self).items() if key in wanted}
        return found | ({"seeds": list(self.seeds)} if len(self.seeds) > 1 else {})


def first_fails(results: Iterable[CellResult]) -> list[FirstFail]:
    """One per trajectory, in the order in which the trajectories first appear."""
    trajectories: dict[tuple[str, str, tuple[int, ...]], dict[float, Verdict]] = {}
    for result in results:
        verdicts = trajectories.setdefault(result.cell.trajectory, {})
        # of folds that are judged together, those that could be measured have the verdict
        if verdicts.get(result.cell.level) not in (Verdict.PASS, Verdict.FAIL):
            verdicts[result.cell.level] = result.verdict
    return [_of(*names, verdicts) for names, verdicts in trajectories.items()]


def _of(task: str, pruner: str, seeds: tuple[int, ...], verdicts: Mapping[float, Verdict]) -> FirstFail:
    failed = [level for level, verdict in verdicts.items() if verdict is Verdict.FAIL]
    passed = [level for level, verdict in verdicts.items() if verdict is Verdict.PASS]
    first = min(failed, default=None)
    below = [level for level in passed if first is None or level < first]
    unsettled = next(
        (v for v in (Verdict.ERROR, Verdict.INCONCLUSIVE, Verdict.SKIPPED) if v in verdicts.values()), None
    )
    return FirstFail(
        task,
        pruner,
        seeds[0],
        last_pass=max(below, default=None),
        first_fail=first,
        monotone=len(below) == len(passed),
        highest=max(failed + passed, default=None),
        unsettled=unsettled,
        seeds=seeds,
    )
