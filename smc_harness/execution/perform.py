"""Doing a job, in whatever process this is."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch

from smc_harness.cells import Verdict
from smc_harness.conversation.device import repeatable
from smc_harness.errors import StoreError, one_line
from smc_harness.execution import peak
from smc_harness.execution.evidence import gather, scores
from smc_harness.execution.jobs import Emit, Event, Failed, Finished, Job, Measured, Progress, Started
from smc_harness.lifecycle.trajectory import InapplicableError, Trajectory
from smc_harness.store.artifacts import Artifacts
from smc_harness.verdict.search import next_level

_PROGRESS_SECONDS = 0.2


def perform(job: Job, emit: Emit) -> Iterator[Event]:
    """Walk the job's trajectory and yield what happens; whatever a plugin raises costs its own cell.

    emit: told of progress in between.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(job.options.threads)
    try:
        with repeatable(job.options.device):
            if job.pruner is None:
                yield from _attempt(job, None, _Lazy(job, emit))
            else:
                yield from _walk(job, _Lazy(job, emit))
    finally:
        torch.set_num_threads(threads)
    yield Finished()


def _walk(job: Job, lazy: _Lazy) -> Iterator[Event]:
    verdicts: dict[float, Verdict] = {}
    while (level := next_level(job.search, job.levels, verdicts)) is not None:
        # what is known counts when the search comes to it, as it does with the driver: they must ask alike
        verdicts[level] = job.known.get(level, Verdict.ERROR)
        if level in job.known:
            continue
        for event in _attempt(job, level, lazy):
            if isinstance(event, Measured) and job.dense is not None:
                trajectory = lazy.trajectory()
                task = trajectory.talk.task_plugin
                found = scores(task, event.measurement, job.dense)
                if job.rule.needs_outcomes:
                    found = gather(task, trajectory.artifacts, event.measurement, job.dense, job.seed)
                verdicts[level] = job.rule.decide(found).verdict
            yield event


def _attempt(job: Job, level: float | None, lazy: _Lazy) -> Iterator[Event]:
    yield Started(level)
    try:
        trajectory = lazy.trajectory()
        peak.forget(job.options.device)
        measurement = trajectory.measure(level)
        measurement = replace(measurement, peak_memory=peak.held(job.options.device))
    except StoreError as error:
        yield Failed(level, one_line(error), store=True)
    except (Exception, SystemExit) as error:
        skipped = isinstance(error, InapplicableError)
        trace = "" if skipped else traceback.format_exc()
        yield Failed(level, one_line(error), trace, skipped=skipped)
    else:
        yield Measured(level, measurement, trajectory.artifacts.pending.get(str(measurement.outcomes)))
        trajectory.artifacts.pending.clear()


class _Lazy:
    """The job's trajectory, made when the first level needs it, so that what goes wrong then is that level's fault."""

    def __init__(self, job: Job, emit: Emit) -> None:
        self.job, self.emit = job, emit
        self._made: Trajectory | None = None

    def trajectory(self) -> Trajectory:
        if self._made is None:
            job = self.job
            self._made = Trajectory(
                job.task.load(),
                job.pruner.load() if job.pruner else None,
                [listener.load() for listener in job.listeners],
                job.options,
                job.seed,
                Artifacts(Path(job.store) / "artifacts"),
                _Throttle(self.emit),
                job.levels,
                job.dense.outcomes if job.dense else None,
            )
        return self._made


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
