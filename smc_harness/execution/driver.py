"""The driver: hands jobs to an executor, judges what comes back, and writes it down. The only writer of results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from smc_harness.cells import Cell, CellResult, Measurement, Verdict
from smc_harness.conversation.context import PrunerContext
from smc_harness.conversation.options import RunOptions
from smc_harness.conversation.relay import relay
from smc_harness.declarations.plans import Stage, Train
from smc_harness.discovery.loading import Plugin
from smc_harness.errors import one_line
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
from smc_harness.lifecycle import keys
from smc_harness.store.results import Results
from smc_harness.verdict.rule import Tolerance, chance_floor
from smc_harness.verdict.search import next_level


@dataclass
class Dense:
    """The dense model of one (task, seed). Settled once `measurement` or `reason` is there.

    floor: the score it must exceed. reason: why the cells that need it cannot run. verdict: theirs in that case.
    """

    task: Plugin
    seed: int
    options: RunOptions
    key: str
    floor: float | None = None
    measurement: Measurement | None = None
    reason: str | None = None
    verdict: Verdict = Verdict.SKIPPED
    output: str = ""

    @property
    def settled(self) -> bool:
        return self.measurement is not None or self.reason is not None


@dataclass
class Track:
    """One trajectory as the driver sees it. known: measurements in the store before this run, by level."""

    dense: Dense
    pruner: Plugin
    cells: dict[float, Cell]
    plans: dict[float, list[Stage]] = field(default_factory=dict)
    keys: dict[float, str] = field(default_factory=dict)
    known: dict[float, Measurement] = field(default_factory=dict)
    verdicts: dict[float, Verdict] = field(default_factory=dict)
    fault: str | None = None

    @property
    def levels(self) -> tuple[float, ...]:
        return tuple(sorted(self.cells))

    @property
    def cost(self) -> int:
        """Training stages that no other track shares, all levels together: the longest tracks start first."""
        stages = {
            key
            for level, plan in self.plans.items()
            for key, stage in zip(self._chain(level), plan, strict=True)
            if isinstance(stage, Train)
        }
        return len(stages)

    def _chain(self, level: float) -> list[str]:
        root = keys.root(self.dense.task, self.dense.options, self.dense.seed)
        return keys.chain(root, self.plans[level], level, self.pruner, self.dense.options.scope)

    def prepare(self) -> None:
        """Ask the pruner for its plans; a plan that cannot be made is this track's fault, nobody else's."""
        context = PrunerContext(
            name=self.pruner.name,
            params=self.pruner.params,
            seed=self.dense.seed,
            session_seed=self.dense.options.session_seed,
            training=self.dense.task.training,
        )
        hook = relay(self.dense.task, self.pruner)
        try:
            for level in self.levels:
                self.plans[level] = list(keys.plan_of(hook, self.pruner, level, context))
                self.keys[level] = keys.cell(self._chain(level)[-1], self.dense.task, self.dense.options)
        except Exception as error:
            self.fault = f"plan failed: {one_line(error)}"


@dataclass(frozen=True)
class Rules:
    """How the driver judges and how far it goes. max_fail: stop after so many failed cells; None: never."""

    tolerance: Tolerance
    search: str
    dense_check: bool
    max_fail: int | None


@dataclass
class Observer:
    """Whom the driver tells: `started` and `finished` for cells, `running` for what is under way, by job label."""

    started: Callable[[Cell], None]
    finished: Callable[[CellResult, str | None], None]
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
        self._make_executor = executor
        self._tracks = tracks
        self._by_job: dict[int, Track | Dense] = {}
        self._failures = 0
        self._stopped = False

    def run(self) -> None:
        """Settle every track, or stop early at `max_fail`. A KeyboardInterrupt passes through, nothing left running."""
        denses = list({id(track.dense): track.dense for track in self._tracks}.values())
        for dense in denses:
            if (measurement := self.results.find([dense.key]).get(dense.key)) is not None:
                self._accept_dense(dense, measurement)
        for track in self._tracks:
            track.prepare()
            found = self.results.find(track.keys.values())
            track.known = {level: found[key] for level, key in track.keys.items() if key in found}
        waiting = [track for track in self._tracks if not self._settle_known(track)]
        needed = {id(track.dense) for track in waiting}
        trainings = [dense for dense in denses if not dense.settled and id(dense) in needed]
        trainings.sort(key=lambda dense: -sum(t.cost for t in waiting if t.dense is dense))
        waiting.sort(key=lambda track: -track.cost)
        jobs = len(trainings) + len(waiting)
        if jobs and not self._stopped:
            executor = self._make_executor(jobs)
            try:
                self._loop(executor, trainings, waiting)
            finally:
                executor.close()

    def _loop(self, executor: Executor, trainings: list[Dense], waiting: list[Track]) -> None:
        free = executor.slots
        while not self._stopped:
            free = self._hand_out(executor, free, trainings, waiting)
            if not self._by_job:
                return
            for job, event in executor.events():
                self._hear(job, event)
                if isinstance(event, Finished | Died):
                    owner = self._by_job.pop(id(job))
                    free += 1
                    if isinstance(owner, Dense):
                        settled = [track for track in waiting if track.dense is owner and self._settle_known(track)]
                        waiting[:] = [track for track in waiting if track not in settled]
                    elif isinstance(event, Died) and not self._settle_known(owner):
                        waiting.insert(0, owner)
                    free = self._hand_out(executor, free, trainings, waiting)
                if self._stopped:
                    return

    def _hand_out(self, executor: Executor, free: int, trainings: list[Dense], waiting: list[Track]) -> int:
        while free:
            ready = next((track for track in waiting if track.dense.settled and not self._awaits(track, waiting)), None)
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
            rule=self.rules.tolerance,
            search=self.rules.search,
        )
        if isinstance(owner, Dense):
            return job
        assert dense.measurement is not None
        return replace(
            job,
            pruner=PluginRef.of(owner.pruner),
            levels=owner.levels,
            known={level: self._verdict(owner, found) for level, found in owner.known.items()} | owner.verdicts,
            dense=dense.measurement.value,
        )

    # -- events -------------------------------------------------------------------------------------------------

    def _hear(self, job: Job, event: Event) -> None:
        owner = self._by_job[id(job)]
        label = f"{job.task.name}::{job.pruner.name if job.pruner else 'dense'} seed{job.seed}"
        match event:
            case Started():
                self.observer.running[label] = Progress("start", 0, 1)
                if isinstance(owner, Track) and event.level is not None:
                    self.observer.started(owner.cells[event.level])
            case Progress():
                self.observer.running[label] = event
            case Measured():
                self._measured(owner, event)
            case Failed() | Died():
                self._failed(owner, event)
            case Finished():
                pass
        if isinstance(owner, Track) and isinstance(event, Measured | Failed):
            self._settle_known(owner)  # the worker passes over what is in the store
        if isinstance(event, Finished | Died):
            self.observer.running.pop(label, None)

    def _measured(self, owner: Dense | Track, event: Measured) -> None:
        expected = owner.key if isinstance(owner, Dense) else owner.keys.get(event.level or 0.0)
        if event.measurement.outcomes != expected:
            # the worker computed its own key from what it imported: a number must never be kept under another one
            self._failed(owner, Failed(event.level, "the source of a plugin changed while the run was going on"))
            return
        if isinstance(owner, Dense):
            self.results.keep(owner.key, owner.task.name, None, None, owner.seed, event.measurement)
            self._accept_dense(owner, event.measurement)
            return
        assert event.level is not None
        key = owner.keys[event.level]
        cell = owner.cells[event.level]
        self.results.keep(key, cell.task, cell.pruner, cell.level, cell.seed, event.measurement)
        self._judge(owner, event.level, event.measurement, cached=False)

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
        else:  # the worker died before it began on a level: none of them can be blamed, so none is tried again
            for level in owner.levels:
                if level not in owner.verdicts:
                    self._settle(owner, level, Verdict.ERROR, error=event.error, output=output)

    @staticmethod
    def _has_result(owner: Dense | Track, level: float | None) -> bool:
        return owner.measurement is not None if isinstance(owner, Dense) else level in owner.verdicts

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

    # -- verdicts -----------------------------------------------------------------------------------------------

    def _settle_known(self, track: Track) -> bool:
        """Settle what can be settled without computing. Returns whether nothing is left to do."""
        dense = track.dense
        if track.fault is not None:
            self._settle_all(track, Verdict.ERROR, track.fault)
            return True
        if not dense.settled:
            return False
        if dense.reason is not None:
            self._settle_all(track, dense.verdict, dense.reason, dense.output)
            return True
        while (level := next_level(self.rules.search, track.levels, track.verdicts)) is not None:
            if level not in track.known:
                return False
            self._judge(track, level, track.known[level], cached=True)
            if self._stopped:
                return True
        return True

    def _settle_all(self, track: Track, verdict: Verdict, reason: str, output: str = "") -> None:
        for level in track.levels:
            if level not in track.verdicts:
                self._settle(track, level, verdict, error=reason, output=output)

    def _judge(self, track: Track, level: float, measurement: Measurement, cached: bool) -> None:
        self._settle(track, level, self._verdict(track, measurement), measurement=measurement, cached=cached)

    def _verdict(self, track: Track, measurement: Measurement) -> Verdict:
        assert track.dense.measurement is not None
        better = bool(track.dense.task.declared("higher_is_better", True))
        return self.rules.tolerance.judge(measurement.value, track.dense.measurement.value, better)

    def _settle(
        self,
        track: Track,
        level: float,
        verdict: Verdict,
        *,
        measurement: Measurement | None = None,
        cached: bool = False,
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
        )
        self.observer.finished(result, track.keys.get(level))
        self._failures += verdict in (Verdict.FAIL, Verdict.ERROR)
        if self.rules.max_fail is not None and self._failures >= self.rules.max_fail:
            self._stopped = True
