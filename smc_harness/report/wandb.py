"""`-p wandb`: a run of Weights & Biases for every trajectory, in the project smc-harness or WANDB_PROJECT.

Its horizontal axis is the level. Offline, in the folder `wandb`, unless WANDB_MODE or WANDB_API_KEY says otherwise.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from smc_harness.cells import show_level
from smc_harness.errors import UsageError, one_line
from smc_harness.hookspecs import hookimpl
from smc_harness.report.tracked import curve, outcome, trajectories

if TYPE_CHECKING:
    from smc_harness.cells import CellResult
    from smc_harness.config import Config
    from smc_harness.session import Session

name, default = "wandb", False
description = "logs every trajectory as a run of Weights & Biases"


@hookimpl
def configure(config: Config) -> None:
    if config.options.collect_only:
        return
    try:
        import wandb
    except ImportError as error:
        raise UsageError(f"-p wandb: {one_line(error)}; pip install 'smc-harness[wandb]' would work") from error
    config.pluginmanager.register(Tracker(wandb), "wandb-tracker")


class Tracker:
    """One run for each trajectory. A process has one run at a time, so they are written when all is done."""

    def __init__(self, client: Any) -> None:
        self.client = client

    @hookimpl(trylast=True)
    def session_finished(self, session: Session, results: Sequence[CellResult]) -> None:
        for found, own in trajectories(results).items():
            run = self.client.init(
                project=os.environ.get("WANDB_PROJECT", "smc-harness"),
                name=found.label,
                group=found.task,
                config=found.params(session) | found.tags(session),
                mode=None if {"WANDB_MODE", "WANDB_API_KEY"} & os.environ.keys() else "offline",
                settings=self.client.Settings(silent=True),
            )
            run.define_metric("*", step_metric="level")
            for result in own:
                if measured := curve(result):
                    run.log({"level": result.cell.level, **measured})
                run.summary[f"verdict {show_level(result.cell.level)}"] = result.verdict.value
            run.summary.update(outcome(own))
            artifact = self.client.Artifact(f"session-{session.number}-{run.id}", "smc-harness")
            with artifact.new_file("smc-harness.json") as file:
                file.write(found.report(session, own))
            run.log_artifact(artifact)
            run.finish(exit_code=int(found.status(session, own) != "FINISHED"))
