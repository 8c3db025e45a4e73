"""Doing a job, in whatever process this is."""

from __future__ import annotations

import time
import traceback
from pathlib import Path

import torch

from smc_harness.cells import Verdict
from smc_harness.errors import one_line
from smc_harness.execution.jobs import Emit, Failed, Finished, Job, Measured, Progress, Started
from smc_harness.lifecycle.trajectory import InapplicableError, Trajectory
from smc_harness.store.artifacts import Artifacts
from smc_harness.verdict.search import next_level

_PROGRESS_SECONDS = 0.2


def perform(job: Job, emit: Emit) -> None:
    """Walk the job's trajectory and emit what happens; whatever a plugin raises costs its own cell."""
    threads = torch.get_num_threads()
    torch.set_num_threads(job.options.threads)
    try:
        if job.pruner is None:
            _attempt(job, None, None, emit)
        else:
            _walk(job, emit)
    finally:
        torch.set_num_threads(threads)
    emit(Finished())


def _walk(job: Job, emit: Emit) -> None:
    verdicts = dict(job.known)
    trajectory: Trajectory | None = None
    higher = True
    while (level := next_level(job.search, job.levels, verdicts)) is not None:
        value, trajectory = _attempt(job, level, trajectory, emit)
        if trajectory is not None:
            higher = bool(trajectory.talk.task_plugin.declared("higher_is_better", True))
        verdicts[level] = Verdict.ERROR if value is None else job.rule.judge(value, job.dense, higher)


def _attempt(
    job: Job, level: float | None, trajectory: Trajectory | None, emit: Emit
) -> tuple[float | None, Trajectory | None]:
    emit(Started(level))
    try:
        if trajectory is None:
            trajectory = _trajectory(job, emit)
        measurement = trajectory.measure(level)
    except (Exception, SystemExit) as error:
        skipped = isinstance(error, InapplicableError)
        emit(Failed(level, one_line(error), "" if skipped else traceback.format_exc(), skipped=skipped))
        return None, trajectory
    emit(Measured(level, measurement))
    return measurement.value, trajectory


def _trajectory(job: Job, emit: Emit) -> Trajectory:
    return Trajectory(
        job.task.load(),
        job.pruner.load() if job.pruner else None,
        [listener.load() for listener in job.listeners],
        job.options,
        job.seed,
        Artifacts(Path(job.store) / "artifacts"),
        _Throttle(emit),
        job.levels,
    )


class _Throttle:
    """Passes on a few progress messages a second: the pipe and the terminal are not free."""

    def __init__(self, emit: Emit) -> None:
        self.emit = emit
        self.last, self.what = 0.0, ""

    def __call__(self, what: str, step: int, of: int) -> None:
        now = time.monotonic()
        if what != self.what or now - self.last >= _PROGRESS_SECONDS:
            self.last, self.what = now, what
            self.emit(Progress(what, step, of))
