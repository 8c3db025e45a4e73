"""An executor that only records and replays, and what it plays."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from smc_harness.cells import CellResult, Measurement, Verdict
from smc_harness.execution.jobs import Died, Event, Finished, Job, Measured, Started
from smc_harness.execution.tracks import Track
from smc_harness.verdict.evidence import Evidence
from smc_harness.verdict.search import next_level

LEVELS = (0.2, 0.5, 0.8)
Script = Callable[[Job], Iterator[Event]]


class Recorder:
    """Runs no plugin: plays what the script says for each job, one event of each running job in turn."""

    def __init__(self, slots: int, script: Script) -> None:
        self.slots, self.script = slots, script
        self.jobs: list[tuple[str, dict[float, Verdict]]] = []
        self.running: list[tuple[Job, Iterator[Event]]] = []
        self.closed = False
        self.more = False
        self.tracks: list[Track] = []

    def submit(self, job: Job) -> None:
        assert len(self.running) < self.slots
        self.jobs.append((job.pruner.name if job.pruner else "dense", dict(job.known)))
        self.running.append((job, self.script(job)))

    def events(self, patience: float | None = None) -> Iterator[tuple[Job, Event]]:
        while self.running:
            for job, script in list(self.running):
                event = next(script)
                if isinstance(event, Finished | Died):
                    self.running.remove((job, script))
                yield job, self._keyed(job, event)

    def _keyed(self, job: Job, event: Event) -> Event:
        """Measurements carry the key that an honest worker computes."""
        if not isinstance(event, Measured) or event.measurement.outcomes is not None:
            return event
        track = next(track for track in self.tracks if job.pruner is None or track.pruner.name == job.pruner.name)
        key = track.dense.key if event.level is None else track.keys[event.level]
        return Measured(event.level, replace(event.measurement, outcomes=key))

    def close(self) -> None:
        self.closed = True


def measured(level: float | None, value: float) -> Measured:
    return Measured(level, Measurement(value=value, n=1000, seconds=0.0))


def play(job: Job, values: dict[float, float]) -> Iterator[Event]:
    """What a well-behaved worker says."""
    if job.pruner is None:
        yield Started(None)
        yield measured(None, 0.9)
    else:
        assert job.dense is not None
        verdicts: dict[float, Verdict] = {}
        while (level := next_level(job.search, job.levels, verdicts)) is not None:
            if level in job.known:
                verdicts[level] = job.known[level]
                continue
            yield Started(level)
            yield measured(level, values[level])
            verdicts[level] = job.rule.decide(Evidence(values[level], job.dense.value, 1000)).verdict
    yield Finished()


GOOD = {0.2: 0.9, 0.5: 0.9, 0.8: 0.1}


def verdicts(found: dict[str, CellResult]) -> dict[float, str]:
    return {result.cell.level: result.verdict.value for result in found.values()}
