"""What the driver needs of an executor."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from smc_harness.execution.jobs import Event, Job


class Executor(Protocol):
    """Runs jobs somewhere and tells what happens.

    slots: how many jobs can run at once; the driver submits no more than that.
    more: whether another event is there already, so that whoever hears of one need not act on it at once.
    """

    slots: int

    @property
    def more(self) -> bool: ...

    def submit(self, job: Job) -> None:
        """Start a job. The caller keeps at most `slots` jobs running."""

    def events(self, patience: float | None = None) -> Iterator[tuple[Job, Event]]:
        """The events of the running jobs as they come; ends when no job is running, or when nothing has come for so
        many seconds. Each job's last event is `Finished` or `Died`. The caller may stop listening after any event, and
        go on later.
        """

    def close(self) -> None:
        """End all work at once; nothing is left running."""
