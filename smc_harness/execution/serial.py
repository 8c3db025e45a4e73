"""Runs jobs in the driver itself (`-n 0`), where a debugger can follow."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

from smc_harness.execution.devices import confine
from smc_harness.execution.jobs import Event, Job


class SerialExecutor:
    """One job at a time, in this process, on the first of the GPUs; a crash of the process is the run's."""

    slots = 1
    more = False

    def __init__(self, gpus: Sequence[str] = ()) -> None:
        confine(next(iter(gpus), None))
        self._waiting: deque[Job] = deque()

    def submit(self, job: Job) -> None:
        self._waiting.append(job)

    def events(self) -> Iterator[tuple[Job, Event]]:
        from smc_harness.execution.perform import perform

        while self._waiting:
            job = self._waiting.popleft()
            for event in perform(job, lambda progress: None):
                yield job, event

    def close(self) -> None:
        self._waiting.clear()
