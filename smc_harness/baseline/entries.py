"""What a run measured, by (task, pruner), with all that a later run is compared by.

Every (task, pruner) says itself what it was measured with, so that entries of several runs may stand side by side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from smc_harness.cells import CellResult, Verdict, visible
from smc_harness.documents.writing import plain
from smc_harness.verdict.first_fail import FirstFail, first_fails
from smc_harness.verdict.margin import USUAL

OPTIONS = ("device", "evaluate_in", "limit", "precision", "scope", "seed", "threads", "verdict")
"""Options that say what is measured, and how it is judged."""
_MEASURED = (Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE)


@dataclass(frozen=True)
class Precision:
    """error: the standard error of a score, in its unit. clusters: of how many independent groups of examples."""

    error: float
    clusters: int


@dataclass(frozen=True)
class Point:
    """One cell. outcomes: key of its per-example outcomes in the store. precision: None where nobody computed it."""

    level: float
    seed: int
    value: float
    n: int
    verdict: Verdict
    precision: Precision | None = None
    outcomes: str | None = None


@dataclass(frozen=True)
class Subject:
    """What was measured of the task. dense, data: by seed; data: digests of its files, None where it reads none.
    tolerance: by which it was judged, as --tolerance takes it.
    """

    metric: str | None
    unit: str | None
    higher_is_better: bool
    n: int | None
    dense: Mapping[int, float]
    params: Mapping[str, Any]
    data: Mapping[int, str] | None
    tolerance: str = str(USUAL)


@dataclass(frozen=True)
class Entry:
    """One (task, pruner). points: by seed and level. params_digest: of the pruner's parameters."""

    task: str
    pruner: str
    phase: str
    params_digest: str
    versions: Mapping[str, str]
    options: Mapping[str, Any]
    subject: Subject
    first_fails: Sequence[FirstFail]
    points: Sequence[Point]

    @property
    def id(self) -> str:
        """`toy::snip`, on one line."""
        return visible(f"{self.task}::{self.pruner}")


Entries = Mapping[tuple[str, str], Entry]
"""By (task, pruner)."""


def entries(
    versions: Mapping[str, str],
    options: Mapping[str, Any],
    tasks: Mapping[str, Mapping[str, Any]],
    results: Sequence[CellResult],
) -> Entries:
    """Of a run: of each (task, pruner) of which something was measured.

    versions, tasks: as in `--json`. options: all of the run's, of which those that matter here are kept.
    """
    kept = plain({name: options.get(name) for name in OPTIONS})
    found: dict[tuple[str, str], list[CellResult]] = {}
    for result in results:
        if result.verdict in _MEASURED and result.measurement is not None:
            found.setdefault((result.cell.task, result.cell.pruner), []).append(result)
    subjects = {task: _subject(plain(about)) for task, about in tasks.items()}
    return {
        (task, pruner): Entry(
            task,
            pruner,
            own[0].cell.phase,
            own[0].cell.params_digest,
            dict(versions),
            kept,
            subjects[task],
            [settled(item) for item in first_fails(own)],
            sorted(map(_point, own), key=lambda point: (point.seed, point.level)),
        )
        for (task, pruner), own in found.items()
    }


def settled(found: FirstFail) -> FirstFail:
    """A first-fail without what became of cells that were not measured."""
    highest = found.last_pass if found.first_fail is None else found.first_fail
    return replace(found, highest=highest, unsettled=None, confidence=None, doubtful=False)


def _subject(about: Mapping[str, Any]) -> Subject:
    data, dense = about.get("data"), about.get("dense_by_seed", {})
    return Subject(
        about.get("metric"),
        about.get("unit"),
        about.get("higher_is_better", True),
        about.get("n"),
        {int(seed): score for seed, score in dense.items() if score is not None},
        about.get("params", {}),
        None if data is None else {int(seed): text for seed, text in data.items()},
        about.get("tolerance", str(USUAL)),
    )


def _point(result: CellResult) -> Point:
    cell, measured = result.cell, result.measurement
    assert measured is not None
    return Point(cell.level, cell.seed, measured.value, measured.n, result.verdict, outcomes=measured.outcomes)
