"""Runs jobs in the driver itself (`-n 0`), where a debugger can follow."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from smc_harness.execution.jobs import Event, Job


class SerialExecutor:
    """One job at a time, in this process. Events are seen when the job is over, but for a crash, which is the run's."""

    slots = 1

    def __init__(self) -> None:
        self._waiting: deque[Job] = deque()

    def submit(self, job: Job) -> None:
        self._waiting.append(job)

    def events(self) -> Iterator[tuple[Job, Event]]:
        from smc_harness.execution.perform import perform

        while self._waiting:
            job = self._waiting.popleft()
            heard: list[Event] = []
            perform(job, heard.append)
            for event in heard:
                yield job, event

    def close(self) -> None:
        self._waiting.clear()
