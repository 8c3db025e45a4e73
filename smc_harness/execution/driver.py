"""The driver: hands jobs to an executor, judges what comes back, and writes it down. The only writer of results."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from smc_harness.cells import Cell, CellResult, Judgement, Measurement, Pooled, Verdict
from smc_harness.discovery.loading import Plugin
from smc_harness.execution.evidence import gather, is_mean, scores
from smc_harness.execution.jobs import (
    Died,
    Event,
    Failed,
    Finished,
    Job,
    Measured,
    PluginRef,
    Progress,
    Started,
)
from smc_harness.execution.protocol import Executor
from smc_harness.execution.tracks import Dense, Pool, Track, pools_of
from smc_harness.store.artifacts import Artifacts
from smc_harness.store.results import Results
from smc_harness.verdict.evidence import together
from smc_harness.verdict.rule import Rule, chance_floor
from smc_harness.verdict.search import Search

_SECONDS = 0.5
"""How long a result may wait for others: where they come faster than a disk can write, one transaction serves many."""


@dataclass(frozen=True)
class Rules:
    """How the driver judges and how far it goes. max_fail: stop after so many failed cells; None: never."""

    rule_of: Callable[[Plugin], Rule]
    search: Search
    dense_check: bool
    max_fail: int | None


@dataclass
class Observer:
    """Whom the driver tells: `started` and `finished` for cells, `running` for what is under way, by job label.

    settled: called before `finished`, to write down the results and the keys of their measurements, in the transaction
    in which the measurements are written.
    """

    started: Callable[[Cell], None]
    finished: Callable[[CellResult], None]
    settled: Callable[[Sequence[tuple[CellResult, str | None]]], None] = lambda settled: None
    running: dict[str, Progress] = field(default_factory=dict)


class Driver:
    """Runs tracks to their end. Dense trainings come before their dependants, long tracks before short ones."""

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
        self.results = results
        self.rules = rules
        self.observer = observer
        self.listeners = listeners
        self.store = store
        self.artifacts = Artifacts(Path(store) / "artifacts")
        self._make_executor = executor
        self._tracks = tracks
        self._pools = {id(track): pool for pool in pools_of(tracks) for track in pool.tracks}
        self._by_job: dict[int, Track | Dense] = {}
        self._failures = 0
        self._stopped = False
        self._measurements: list[tuple[str, str, str | None, float | None, int, Measurement]] = []
        self._due = 0.0
        self._news: list[Cell | tuple[CellResult, str | None]] = []

    def run(self) -> None:
        """Settle every track, or stop early at `max_fail`. A KeyboardInterrupt passes through, nothing left running."""
        try:
            self._run()
        finally:
            self._tell()

    def _run(self) -> None:
        denses = list({id(track.dense): track.dense for track in self._tracks}.values())
        for dense in denses:
            if (measurement := self.results.find([dense.key]).get(dense.key)) is not None:
                self._accept_dense(dense, measurement)
        for track in self._tracks:
            track.prepare()
            self._look_up(track)
        waiting = [track for track in self._tracks if not self._advance(track)]
        needed = {id(track.dense) for track in waiting}
        trainings = [dense for dense in denses if not dense.settled and id(dense) in needed]
        trainings.sort(key=lambda dense: -sum(t.cost for t in waiting if t.dense is dense))
        waiting.sort(key=lambda track: -track.cost)
        self._tell()
        jobs = len(trainings) + len(waiting)
        if jobs and not self._stopped:
            executor = self._make_executor(jobs)
            try:
                self._loop(executor, trainings, waiting)
            finally:
                executor.close()

    def _look_up(self, track: Track) -> None:
        """What the store has of a track."""
        found = self.results.find(track.keys.values())
        track.known = {level: found[key] for level, key in track.keys.items() if key in found}

    def _loop(self, executor: Executor, trainings: list[Dense], waiting: list[Track]) -> None:
        free = executor.slots
        while not self._stopped:
            free = self._hand_out(executor, free, trainings, waiting)
            if not self._by_job:
                return
            for job, event in executor.events():
                self._hear(job, event)
                ended = isinstance(event, Finished | Died)
                if ended or self._stopped or time.monotonic() >= self._due or not executor.more:
                    self._tell()
                if ended:
                    owner = self._by_job.pop(id(job))
                    free += 1
                    if isinstance(owner, Dense):
                        waiting[:] = [track for track in waiting if not self._advance(track)]
                    elif not self._advance(owner):
                        if isinstance(event, Died) or self._goes_on(owner, job):
                            waiting.insert(0, owner)
                        else:
                            self._settle_all(owner, Verdict.ERROR, "its worker ended without it")
                    free = self._hand_out(executor, free, trainings, waiting)
                if self._stopped:
                    return

    def _hand_out(self, executor: Executor, free: int, trainings: list[Dense], waiting: list[Track]) -> int:
        while free:
            ready = next((track for track in waiting if self._is_ready(track, waiting)), None)
            owner: Dense | Track
            if trainings:
                owner = trainings.pop(0)
            elif ready is not None:
                waiting.remove(ready)
                owner = ready
            else:
                break
            job = self._job(owner)
            self._by_job[id(job)] = owner
            executor.submit(job)
            free -= 1
        return free

    def _is_ready(self, track: Track, waiting: list[Track]) -> bool:
        """Whether the track has something to measure now: of a pool, one level at a time."""
        level = self._pools[id(track)].next_level(self.rules.search)
        lacking = level is not None and self._pools[id(track)].lacks(track, level)
        return lacking and track.dense.settled and not self._awaits(track, waiting)

    def _goes_on(self, track: Track, job: Job) -> bool:
        """Whether a job that came to its end leaves something for another: the next level of a pool, or a new level."""
        return self._has_company(track) or self._pools[id(track)].next_level(self.rules.search) not in job.levels

    def _has_company(self, track: Track) -> bool:
        """Whether the track is judged together with others."""
        return len(self._pools[id(track)].tracks) > 1

    def _awaits(self, track: Track, waiting: list[Track]) -> bool:
        """Whether it is a control of a pruner that is not done: what it needs to know will be in the store then."""
        own = track.pruner.own
        if own is None:
            return False
        unfinished = [*waiting, *(owner for owner in self._by_job.values() if isinstance(owner, Track))]
        return any(other.dense is track.dense and other.pruner is own for other in unfinished)

    def _job(self, owner: Dense | Track) -> Job:
        dense = owner if isinstance(owner, Dense) else owner.dense
        job = Job(
            task=PluginRef.of(dense.task),
            pruner=None,
            listeners=self.listeners,
            options=dense.options,
            seed=dense.seed,
            store=self.store,
            rule=self.rules.rule_of(dense.task),
        )
        if isinstance(owner, Dense):
            return job
        assert dense.measurement is not None
        return replace(
            job,
            pruner=PluginRef.of(owner.pruner),
            levels=owner.levels,
            known=self._known(owner),
            dense=dense.measurement,
            search=self.rules.search.of(owner.pruner.phase).name,
        )

    def _known(self, track: Track) -> dict[float, Verdict]:
        """What the worker need not measure: what is known, and for one of a pool every level but the next."""
        if self._has_company(track):
            level = self._pools[id(track)].next_level(self.rules.search)
            return {other: Verdict.NOT_RUN for other in track.levels if other != level}
        return {level: self._decide([(track, found)]).verdict for level, found in track.known.items()} | track.verdicts

    # -- events -------------------------------------------------------------------------------------------------

    def _hear(self, job: Job, event: Event) -> None:
        owner = self._by_job[id(job)]
        label = f"{job.task.name}::{job.pruner.name if job.pruner else 'dense'} seed{job.seed}"
        match event:
            case Started():
                self.observer.running[label] = Progress("start", 0, 1)
                if isinstance(owner, Track) and event.level is not None:
                    self._news.append(owner.cells[event.level])
            case Progress():
                self.observer.running[label] = event
            case Measured():
                self._measured(owner, event)
            case Failed() | Died():
                self._failed(owner, event)
            case Finished():
                pass
        if isinstance(owner, Track) and isinstance(event, Measured | Failed):
            self._advance(owner)  # the worker passes over what is in the store
        if isinstance(event, Finished | Died):
            self.observer.running.pop(label, None)

    def _measured(self, owner: Dense | Track, event: Measured) -> None:
        expected = owner.key if isinstance(owner, Dense) else owner.keys.get(event.level or 0.0)
        if event.measurement.outcomes != expected:
            # the worker computed its own key from what it imported: a number must never be kept under another one
            self._failed(owner, Failed(event.level, "the source of a plugin changed while the run was going on"))
            return
        if event.outcomes is not None:
            self.artifacts.pending[str(expected)] = event.outcomes
        if isinstance(owner, Dense):
            self._measurements.append((owner.key, owner.task.name, None, None, owner.seed, event.measurement))
            self._accept_dense(owner, event.measurement)
            return
        assert event.level is not None
        key = owner.keys[event.level]
        cell = owner.cells[event.level]
        self._measurements.append((key, cell.task, cell.pruner, cell.level, cell.seed, event.measurement))
        owner.measured[event.level] = (event.measurement, False)

    def _failed(self, owner: Dense | Track, event: Failed | Died) -> None:
        if isinstance(event, Died) and self._has_result(owner, event.level):
            return  # its number is safe; the rest of the track is handed out again
        trace = event.trace if isinstance(event, Failed) else ""
        output = "\n".join(filter(None, (trace, event.output)))
        if isinstance(owner, Dense):
            owner.verdict = Verdict.ERROR
            owner.reason, owner.output = f"the dense training failed: {event.error}", output
        elif event.level is not None:
            skipped = isinstance(event, Failed) and event.skipped
            verdict = Verdict.SKIPPED if skipped else Verdict.ERROR
            self._settle(owner, event.level, verdict, error=event.error, output=output)
            self._count(verdict)
        else:  # the worker died before it began on a level: none of them can be blamed, so none is tried again
            self._settle_all(owner, Verdict.ERROR, event.error, output)

    @staticmethod
    def _has_result(owner: Dense | Track, level: float | None) -> bool:
        if isinstance(owner, Dense):
            return owner.settled
        return level in owner.verdicts or level in owner.measured

    def _accept_dense(self, dense: Dense, measurement: Measurement) -> None:
        """Take the dense score, unless the model is no better than chance: its cells would measure nothing."""
        dense.measurement = measurement
        declared = dense.task.declared("floor")
        chance = dense.task.declared("chance")
        if declared is not None:
            dense.floor = float(declared)
        elif chance is not None:
            dense.floor = chance_floor(float(chance), measurement.n)
        if not self.rules.dense_check or dense.floor is None:
            return
        better = dense.task.declared("higher_is_better", True)
        if not (measurement.value > dense.floor if better else measurement.value < dense.floor):
            dense.reason = (
                f"dense scores {measurement.value:.4g}, not above its floor {dense.floor:.4g}; "
                "--no-dense-check runs the cells all the same"
            )

    def _tell(self) -> None:
        """Make durable what was measured and settled since the last time, all at once, and only then tell of it."""
        settled = [item for item in self._news if isinstance(item, tuple)]
        if self._measurements or settled:
            with self.results.together():
                for row in self._measurements:
                    self.results.keep(*row, self.artifacts.pending.get(row[0]))
                self.observer.settled(settled)
            self._measurements.clear()
            self.artifacts.pending.clear()
        while self._news:
            item = self._news.pop(0)
            if isinstance(item, tuple):
                self.observer.finished(item[0])
            else:
                self.observer.started(item)
        self._due = time.monotonic() + _SECONDS

    # -- verdicts -----------------------------------------------------------------------------------------------

    def _advance(self, track: Track) -> bool:
        """Settle of the track's pool what can be settled without computing. Returns whether nothing is left to do."""
        pool = self._pools[id(track)]
        self._settle_hopeless(pool)
        while (level := pool.next_level(self.rules.search)) is not None and not self._stopped:
            if level not in pool.levels:
                for each in pool.tracks:
                    each.add(level)
                    self._look_up(each)
                self._settle_hopeless(pool)
            for each in pool.tracks:
                if each.dense.settled and level in each.known and pool.lacks(each, level):
                    each.measured[level] = (each.known[level], True)
            if any(pool.lacks(each, level) for each in pool.tracks):
                return False
            self._judge(pool, level)
        return True

    def _settle_hopeless(self, pool: Pool) -> None:
        for each in pool.tracks:
            if each.fault is not None:
                self._settle_all(each, Verdict.ERROR, each.fault)
            elif each.dense.reason is not None:
                self._settle_all(each, each.dense.verdict, each.dense.reason, each.dense.output)

    def _settle_all(self, track: Track, verdict: Verdict, reason: str, output: str = "") -> None:
        for level in track.levels:
            if level not in track.verdicts and not self._stopped:
                self._settle(track, level, verdict, error=reason, output=output)
                self._count(verdict)

    def _judge(self, pool: Pool, level: float) -> None:
        """Take the verdict on the outcomes of all tracks that have them; those that failed keep their own."""
        found = [(track, *track.measured[level]) for track in pool.tracks if level in track.measured]
        if not found:
            pool.verdicts[level] = next(track.verdicts[level] for track in pool.tracks if level in track.verdicts)
            return
        judgement, pooled = self._decide([(track, measurement) for track, measurement, _ in found]), None
        if len(pool.tracks) > 1:
            folds = {t.dense.seed: (m, t.dense.measurement) for t, m, _ in found if t.dense.measurement is not None}
            pooled = Pooled.of(folds)
        pool.verdicts[level] = judgement.verdict
        for track, measurement, cached in found:
            self._settle(
                track,
                level,
                judgement.verdict,
                measurement=measurement,
                cached=cached,
                judgement=judgement,
                pooled=pooled,
            )
        self._count(judgement.verdict)  # once, however many seeds it was taken on

    def _decide(self, found: Sequence[tuple[Track, Measurement]]) -> Judgement:
        """On the outcomes of all the tracks together."""
        rule, parts = self.rules.rule_of(found[0][0].dense.task), []
        for track, measurement in found:
            dense = track.dense
            assert dense.measurement is not None
            # outcomes that a verdict does not need go with it where they cost next to nothing
            if rule.needs_outcomes or is_mean(dense.task):
                parts.append(gather(dense.task, self.artifacts, measurement, dense.measurement, dense.seed))
            else:
                parts.append(scores(dense.task, measurement, dense.measurement))
        return rule.decide(together(parts))

    def _settle(
        self,
        track: Track,
        level: float,
        verdict: Verdict,
        *,
        measurement: Measurement | None = None,
        cached: bool = False,
        judgement: Judgement | None = None,
        pooled: Pooled | None = None,
        error: str | None = None,
        output: str = "",
    ) -> None:
        if self._stopped:
            return
        track.verdicts[level] = verdict
        dense = track.dense.measurement
        result = CellResult(
            cell=track.cells[level],
            verdict=verdict,
            metric=str(track.dense.task.declared("metric", "score")),
            dense=dense.value if dense else None,
            measurement=measurement,
            cached=cached,
            error=error,
            output=output,
            judgement=judgement,
            pooled=pooled,
        )
        self._news.append((result, track.keys.get(level)))

    def _count(self, verdict: Verdict) -> None:
        """Stop if there are as many failures as were asked for."""
        self._failures += verdict in (Verdict.FAIL, Verdict.ERROR)
        if self.rules.max_fail is not None and self._failures >= self.rules.max_fail:
            self._stopped = True
