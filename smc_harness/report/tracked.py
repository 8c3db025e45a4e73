"""What trackers of experiments are told of a trajectory, whatever they are: parameters, curve, outcome, report."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from smc_harness.cells import Cell, CellResult, Verdict
from smc_harness.documents.writing import plain

if TYPE_CHECKING:
    from smc_harness.session import Session


@dataclass(frozen=True)
class Trajectory:
    """One (task, pruner, seed), which is one run of a tracker."""

    task: str
    pruner: str
    seed: int

    @classmethod
    def of(cls, cell: Cell) -> Trajectory:
        return cls(cell.task, cell.pruner, cell.seed)

    @property
    def label(self) -> str:
        return f"{self.task}::{self.pruner} seed{self.seed}"

    def params(self, session: Session) -> dict[str, Any]:
        """What was asked: the trajectory, how it was judged, and the parameters of task and pruner."""
        options, collection = session.config.options, session.collection
        found = asdict(self) | {"phase": collection.pruners[self.pruner].phase}
        found |= {
            name: getattr(options, name) for name in ("scope", "search", "verdict", "limit", "precision", "evaluate_in")
        }
        found |= {"session_seed": options.seed, "params_digest": collection.pruners[self.pruner].params_digest}
        for plugin in (collection.tasks[self.task], collection.pruners[self.pruner]):
            own = asdict(plugin.params) if plugin.params is not None else {}
            # not by its name, which may hold what a tracker does not take
            found |= {f"{plugin.kind}.{name}": plain(value) for name, value in own.items()}
        return {name: value for name, value in found.items() if value is not None}

    def tags(self, session: Session) -> dict[str, str]:
        """What it was measured with."""
        from smc_harness.execution.about import versions

        found = {f"version {name}": version for name, version in versions().items()}
        return found | {"device": session.device.kind, "session": str(session.number), "store": str(session.store)}

    def report(self, session: Session, results: Sequence[CellResult]) -> str:
        """The JSON that --json writes, of this trajectory alone; `smc-harness report` reads it."""
        from smc_harness.report.json_file import to_object

        return json.dumps(plain(to_object(session, results)), indent=2, allow_nan=False) + "\n"

    def status(self, session: Session, results: Sequence[CellResult]) -> str:
        """`FINISHED`, `FAILED` if a cell ended in error, `KILLED` if the run was interrupted."""
        if session.interrupted:
            return "KILLED"
        return "FAILED" if any(result.verdict is Verdict.ERROR for result in results) else "FINISHED"


def trajectories(results: Sequence[CellResult]) -> dict[Trajectory, list[CellResult]]:
    """The results of each, in the order of their levels."""
    found: dict[Trajectory, list[CellResult]] = {}
    for result in results:
        found.setdefault(Trajectory.of(result.cell), []).append(result)
    return found


def curve(result: CellResult) -> dict[str, float]:
    """What is drawn over the level; nothing of a cell that was not measured."""
    if result.measurement is None or result.dense is None:
        return {}
    found = {"value": result.measurement.value, "dense": result.dense, "realised": result.measurement.realised}
    return found | ({"passed": float(result.verdict is Verdict.PASS)} if result.verdict.decided else {})


def outcome(results: Sequence[CellResult]) -> dict[str, float]:
    """`last_pass` and `first_fail` of a trajectory, as far as there are any."""
    from smc_harness.verdict.first_fail import first_fails

    (found,) = first_fails(results)
    ends = {"last_pass": found.last_pass, "first_fail": found.first_fail}
    return {name: level for name, level in ends.items() if level is not None}
