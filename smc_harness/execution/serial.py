"""Runs jobs in the driver itself (`-n 0`), where a debugger can follow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from smc_harness.execution.devices import confine
from smc_harness.execution.jobs import Event, Job


class SerialExecutor:
    """One job at a time, in this process, on the first of the GPUs; a crash of the process is the run's."""

    slots = 1
    more = False

    def __init__(self, gpus: Sequence[str] = ()) -> None:
        confine(next(iter(gpus), None))
        self._job: Job | None = None
        self._events: Iterator[Event] = iter(())

    def submit(self, job: Job) -> None:
        from smc_harness.execution.perform import perform

        self._job, self._events = job, perform(job, lambda progress: None)

    def events(self, patience: float | None = None) -> Iterator[tuple[Job, Event]]:
        """No patience is needed: work is done while the caller listens."""
        while self._job is not None:
            for event in self._events:
                yield self._job, event
            self._job = None

    def close(self) -> None:
        self._job = None
