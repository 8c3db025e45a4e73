"""`-p mlflow`: a run of MLflow for every trajectory, where MLFLOW_TRACKING_URI says, in MLFLOW_EXPERIMENT_NAME.

The step of a metric is the level in ten-thousandths (0.8325 is 8325), since MLflow takes whole numbers.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from smc_harness.cells import show_level
from smc_harness.errors import UsageError, one_line
from smc_harness.hookspecs import hookimpl
from smc_harness.report.tracked import Trajectory, curve, outcome, trajectories

if TYPE_CHECKING:
    from smc_harness.cells import Cell, CellResult
    from smc_harness.config import Config
    from smc_harness.session import Session

name, default = "mlflow", False
description = "logs every trajectory as a run of MLflow"
_STEPS = 10_000


@hookimpl
def configure(config: Config) -> None:
    """Refuse a server that is not there before the run, not after it."""
    if config.options.collect_only:
        return
    try:
        from mlflow import MlflowClient, entities
    except ImportError as error:
        raise UsageError(f"-p mlflow: {one_line(error)}; pip install 'smc-harness[mlflow]' would work") from error
    experiment = os.environ.get("MLFLOW_EXPERIMENT_NAME", "smc-harness")
    try:
        client = MlflowClient()
        known = client.get_experiment_by_name(experiment)
        number = known.experiment_id if known is not None else client.create_experiment(experiment)
    except Exception as error:
        raise UsageError(f"-p mlflow: {one_line(error)}; MLFLOW_TRACKING_URI says where runs go") from error
    config.pluginmanager.register(Tracker(client, entities, number), "mlflow-tracker")


class Tracker:
    """One run of MLflow for each trajectory, begun with its first result."""

    def __init__(self, client: Any, entities: Any, experiment: str) -> None:
        self.client, self.entities, self.experiment = client, entities, experiment
        self.session: Session | None = None
        self.runs: dict[Trajectory, str] = {}

    @hookimpl
    def session_started(self, session: Session) -> None:
        self.session = session

    def _run_of(self, cell: Cell) -> str:
        assert self.session is not None
        found = Trajectory.of(cell)
        if found not in self.runs:
            run = self.client.create_run(self.experiment, run_name=found.label, tags=found.tags(self.session))
            self.runs[found] = run.info.run_id
            params = [self.entities.Param(name, str(value)) for name, value in found.params(self.session).items()]
            self.client.log_batch(run.info.run_id, params=params)
        return self.runs[found]

    def _log(self, run: str, metrics: Mapping[str, float], step: int = 0, **tags: str) -> None:
        now = round(1000 * time.time())
        found = [self.entities.Metric(name, value, now, step) for name, value in metrics.items()]
        self.client.log_batch(
            run, metrics=found, tags=[self.entities.RunTag(name, value) for name, value in tags.items()]
        )

    @hookimpl
    def cell_finished(self, result: CellResult) -> None:
        run, step = self._run_of(result.cell), round(result.cell.level * _STEPS)
        self._log(run, curve(result), step, **{f"verdict {show_level(result.cell.level)}": result.verdict.value})

    @hookimpl(trylast=True)
    def session_finished(self, session: Session, results: Sequence[CellResult]) -> None:
        for found, own in trajectories(results).items():
            if (run := self.runs.get(found)) is not None:
                self._log(run, outcome(own))
                self.client.log_text(run, found.report(session, own), "smc-harness.json")
                self.client.set_terminated(run, found.status(session, own))
