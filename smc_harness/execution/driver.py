"""The driver: hands jobs to an executor, hears what comes of them, and hands out again what was lost."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from smc_harness.cells import Verdict
from smc_harness.errors import StoreError
from smc_harness.execution.jobs import Died, Event, Failed, Finished, Job, Measured, PluginRef, Progress, Started
from smc_harness.execution.ledger import Ledger, Observer, Rules
from smc_harness.execution.protocol import Executor
from smc_harness.execution.queue import Queue
from smc_harness.execution.tracks import Dense, Track
from smc_harness.store.artifacts import Artifacts
from smc_harness.store.claims import Claims
from smc_harness.store.results import Results

_PAUSE = 0.5
"""Seconds between two looks at whether another session is done with what this one needs."""
_SILENT = "its worker ended without it"
_OTHER_SOURCE = "the source of a plugin changed while the run was going on, or is another one where the cell ran"


class Driver:
    """Runs tracks to their end. Dense trainings come before their dependants, long tracks before short ones.

    What another session of the same store works on is waited for, and then taken from the store.
    """

    def __init__(
        self,
        tracks: list[Track],
        executor: Callable[[int], Executor],
        results: Results,
        rules: Rules,
        observer: Observer,
        listeners: tuple[PluginRef, ...],
        store: str,
    ) -> None:
        self.ledger = Ledger(tracks, results, Artifacts(Path(store) / "artifacts"), rules, observer)
        self.listeners = listeners
        self.store = store
        self._make_executor = executor
        self._tracks = tracks
        self._claims: Claims
        self._queue: Queue
        self._by_job: dict[int, Track | Dense] = {}
        followed = {id(track.pruner.own) for track in tracks if track.pruner.own is not None}
        self._followed = {(id(t.dense), id(t.pruner)): t for t in tracks if id(t.pruner) in followed}
        self._deaths: Counter[tuple[Dense | Track, float | None, int]] = Counter()
        self._elsewhere = False

    def run(self) -> None:
        """Settle every track, or stop early at `max_fail`. A KeyboardInterrupt passes through, nothing left running.

        Raises StoreError where the store cannot be read or written.
        """
        with closing(Claims(Path(self.store))) as self._claims:
            try:
                self._run()
            finally:
                self.ledger.tell()

    def _run(self) -> None:
        for dense in dict.fromkeys(track.dense for track in self._tracks):
            self.ledger.look_up(dense)
        for track in self._tracks:
            track.prepare()
            self.ledger.look_up(track)
        self._queue = Queue([track for track in self._tracks if not self.ledger.advance(track)])
        self.ledger.tell()
        if len(self._queue) and not self.ledger.stopped:
            executor = self._make_executor(len(self._queue))
            try:
                self._loop(executor)
            finally:
                executor.close()

    def _loop(self, executor: Executor) -> None:
        while not self.ledger.stopped:
            self._hand_out(executor)
            if not self._by_job:
                self.ledger.tell()
                if not self._elsewhere:
                    assert self.ledger.stopped or not len(self._queue), "work was left undone"
                    return
                time.sleep(_PAUSE)
            ended: list[tuple[Job, Event]] = []
            for job, event in executor.events(_PAUSE if self._elsewhere else None):
                self._hear(job, event)
                if isinstance(event, Finished | Died):
                    ended.append((job, event))
                if self.ledger.stopped or self.ledger.due or not executor.more:
                    self.ledger.tell()
                    if ended or self.ledger.stopped:
                        break
            self.ledger.tell()  # before the keys of what has ended are free for others, who would find nothing
            for each in ended:
                self._ended(*each)

    # -- work ---------------------------------------------------------------------------------------------------

    def _hand_out(self, executor: Executor) -> None:
        """Begin what can be begun, as long as there is room for it."""
        refused: list[Dense | Track] = []
        while len(self._by_job) < executor.slots and not self.ledger.stopped:
            owner = self._queue.next(self._is_ready, self._is_over)
            if owner is None:
                break
            if not self._claims.take(_keys(owner)):
                refused.append(owner)
            elif self._is_done(owner):
                self._claims.release(_keys(owner))
            else:
                job = self._job(owner)
                self._by_job[id(job)] = owner
                executor.submit(job)
        for owner in reversed(refused):
            self._queue.put_back(owner)
        self._elsewhere = bool(refused)

    def _is_ready(self, owner: Dense | Track) -> bool:
        """Whether there is something to measure now: of a pool, one level at a time."""
        if isinstance(owner, Dense):
            running = (other for other in self._by_job.values() if isinstance(other, Dense))
            return all(other.trained != owner.trained for other in running)
        level = self.ledger.next_level(owner)
        lacking = level is not None and self.ledger.pool(owner).lacks(owner, level)
        return lacking and owner.dense.settled and not self._awaits(owner)

    def _is_over(self, track: Track) -> bool:
        """Whether it was settled while it waited, with others of its pool."""
        return self.ledger.next_level(track) is None

    def _is_done(self, owner: Dense | Track) -> bool:
        """Whether nothing is left of it to compute: another session may have done it since this one looked."""
        self.ledger.look_up(owner)
        if isinstance(owner, Track):
            return self.ledger.advance(owner)
        if owner.settled:
            self._release(owner)
        return owner.settled

    def _release(self, dense: Dense) -> None:
        """What waited for a dense model can be begun, or is settled with it."""
        for track in self._queue.release(dense):
            if not self.ledger.advance(track):
                self._queue.add(track)

    def _ended(self, job: Job, event: Event) -> None:
        """A worker is free; what is left of its job is for another."""
        owner = self._by_job.pop(id(job))
        self._claims.release(_keys(owner))
        if isinstance(owner, Track):
            self._track_ended(owner, job, event)
        elif not owner.settled and isinstance(event, Died):
            self._queue.put_back(owner)
        else:
            if not owner.settled:
                self.ledger.failed(owner, None, _SILENT, "", Verdict.ERROR)
            self._release(owner)

    def _track_ended(self, track: Track, job: Job, event: Event) -> None:
        if self.ledger.advance(track):
            return
        if isinstance(event, Died) or self._goes_on(track, job):
            self._queue.put_back(track)
        else:
            self.ledger.failed(track, None, _SILENT, "", Verdict.ERROR)
            self.ledger.advance(track)

    def _goes_on(self, track: Track, job: Job) -> bool:
        """Whether a job that came to its end leaves something for another: the next level of a pool, or a new level."""
        return self._has_company(track) or self.ledger.next_level(track) not in job.levels

    def _has_company(self, track: Track) -> bool:
        """Whether the track is judged together with others."""
        return len(self.ledger.pool(track).tracks) > 1

    def _awaits(self, track: Track) -> bool:
        """Whether it is a control of a pruner that is not done: what it needs to know will be in the store then."""
        own = self._followed.get((id(track.dense), id(track.pruner.own)))
        return own is not None and (not self._is_over(own) or own in self._by_job.values())

    def _job(self, owner: Dense | Track) -> Job:
        dense = owner if isinstance(owner, Dense) else owner.dense
        job = Job(
            task=PluginRef.of(dense.task),
            pruner=None,
            listeners=self.listeners,
            options=dense.options,
            seed=dense.seed,
            store=self.store,
            rule=self.ledger.rules.rule_of(dense.task),
        )
        if isinstance(owner, Dense):
            return replace(job, chains=((owner.trained,),))
        assert dense.measurement is not None
        known = self._known(owner)
        own = self._followed.get((id(dense), id(owner.pruner.own)))
        return replace(
            job,
            pruner=PluginRef.of(owner.pruner),
            levels=owner.levels,
            known=known,
            chains=tuple(chain for level, chain in owner.chains().items() if level not in known),
            read=(dense.key, *(own.keys.values() if own is not None else ())),
            dense=dense.measurement,
            search=self.ledger.rules.search.of(owner.pruner.phase).name,
        )

    def _known(self, track: Track) -> dict[float, Verdict]:
        """What the worker need not measure: what is known, and for one of a pool every level but the next."""
        if self._has_company(track):
            level = self.ledger.next_level(track)
            return {other: Verdict.NOT_RUN for other in track.levels if other != level}
        return self.ledger.verdicts(track)

    # -- events -------------------------------------------------------------------------------------------------

    def _hear(self, job: Job, event: Event) -> None:
        owner = self._by_job[id(job)]
        running = self.ledger.observer.running
        label = f"{job.task.name}::{job.pruner.name if job.pruner else 'dense'} seed{job.seed}"
        match event:
            case Started():
                running[label] = Progress("start", 0, 1)
                if isinstance(owner, Track) and event.level is not None:
                    self.ledger.started(owner, event.level)
            case Progress():
                running[label] = event
            case Measured():
                self._measured(owner, event)
            case Failed():
                self._failed(owner, event)
            case Died():
                self._died(owner, event)
            case Finished():
                pass
        if isinstance(owner, Track) and isinstance(event, Measured | Failed):
            self.ledger.advance(owner)  # the worker passes over what is in the store
        if isinstance(event, Finished | Died):
            running.pop(label, None)

    def _measured(self, owner: Dense | Track, event: Measured) -> None:
        expected = owner.key if isinstance(owner, Dense) else owner.keys.get(event.level or 0.0)
        if event.measurement.outcomes != expected:
            # the worker computed its own key from what it imported: a number must never be kept under another one
            self._failed(owner, Failed(event.level, _OTHER_SOURCE))
        else:
            self.ledger.measured(owner, event.level, event.measurement, event.outcomes)

    def _failed(self, owner: Dense | Track, event: Failed) -> None:
        if event.store:
            raise StoreError(event.error)
        output = "\n".join(filter(None, (event.trace, event.output)))
        verdict = Verdict.SKIPPED if event.skipped else Verdict.ERROR
        self.ledger.failed(owner, event.level, event.error, output, verdict)

    def _died(self, owner: Dense | Track, event: Died) -> None:
        """A cell may be the victim of a machine's bad moment, so it is tried once more before it is named."""
        if _has_result(owner, event.level):
            return  # its number is safe; the rest of the track is handed out again
        self._deaths[owner, event.level, event.tries] += 1
        deaths = self._deaths[owner, event.level, event.tries]
        if deaths == event.tries:
            often = {1: "", 2: " (tried twice)"}.get(deaths, f" (tried {deaths} times)")
            error = event.error + often
            self.ledger.failed(owner, event.level, error, event.output, Verdict.ERROR)


def _keys(owner: Dense | Track) -> Sequence[str]:
    """What nobody else should compute at the same time."""
    return [owner.trained, owner.key] if isinstance(owner, Dense) else list(owner.keys.values())


def _has_result(owner: Dense | Track, level: float | None) -> bool:
    if isinstance(owner, Dense):
        return owner.settled
    return level in owner.verdicts or level in owner.measured
