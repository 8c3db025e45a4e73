"""What has come of a run so far: outcomes are judged here, written down, and only then told of. The only writer."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from smc_harness.cells import Cell, CellResult, Judgement, Measurement, Pooled, Verdict
from smc_harness.discovery.loading import Plugin
from smc_harness.execution.evidence import gather, is_mean, scores
from smc_harness.execution.jobs import Progress
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


class Ledger:
    """The tracks of a run, judged pool by pool. stopped: whether as many cells failed as end the run."""

    def __init__(
        self, tracks: Sequence[Track], results: Results, artifacts: Artifacts, rules: Rules, observer: Observer
    ) -> None:
        self.results = results
        self.artifacts = artifacts
        self.rules = rules
        self.observer = observer
        self.stopped = False
        self._pools = {id(track): pool for pool in pools_of(tracks) for track in pool.tracks}
        self._failures = 0
        self._measurements: list[tuple[str, str, str | None, float | None, int, Measurement]] = []
        self._due = 0.0
        self._news: list[Cell | tuple[CellResult, str | None]] = []

    # -- what is known ------------------------------------------------------------------------------------------

    def look_up(self, owner: Dense | Track) -> None:
        """What the store has of a dense model or of a track."""
        if isinstance(owner, Track):
            found = self.results.find(owner.keys.values())
            owner.known = {level: found[key] for level, key in owner.keys.items() if key in found}
        elif not owner.settled and (measurement := self.results.find([owner.key]).get(owner.key)) is not None:
            self._accept_dense(owner, measurement)

    def pool(self, track: Track) -> Pool:
        """Those it is judged with."""
        return self._pools[id(track)]

    def next_level(self, track: Track) -> float | None:
        """Which its pool needs next."""
        return self.pool(track).next_level(self.rules.search)

    def verdicts(self, track: Track) -> dict[float, Verdict]:
        """Of the levels that are measured or settled."""
        return {level: self._decide([(track, found)]).verdict for level, found in track.known.items()} | track.verdicts

    @property
    def due(self) -> bool:
        """Whether a result has waited long enough to be told of."""
        return time.monotonic() >= self._due

    # -- what happens -------------------------------------------------------------------------------------------

    def started(self, track: Track, level: float) -> None:
        self._news.append(track.cells[level])

    def measured(self, owner: Dense | Track, level: float | None, found: Measurement, outcomes: bytes | None) -> None:
        """Take a number. outcomes: what it was for each example, to be kept with it."""
        if isinstance(owner, Dense):
            key = owner.key
            self._measurements.append((key, owner.task.name, None, None, owner.seed, found))
            self._accept_dense(owner, found)
        else:
            assert level is not None
            key, cell = owner.keys[level], owner.cells[level]
            self._measurements.append((key, cell.task, cell.pruner, cell.level, cell.seed, found))
            owner.measured[level] = (found, False)
        if outcomes is not None:
            self.artifacts.pending[key] = outcomes

    def failed(self, owner: Dense | Track, level: float | None, error: str, output: str, verdict: Verdict) -> None:
        """No number is to be had. level: None where it cannot be said of one that it is to blame."""
        if isinstance(owner, Dense):
            owner.verdict = Verdict.ERROR
            owner.reason, owner.output = f"the dense training failed: {error}", output
        elif level is not None:
            self._settle(owner, level, verdict, error=error, output=output)
            self._count(verdict)
        else:
            self._settle_all(owner, verdict, error, output)

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
                f"dense scores {measurement.value:.4g}, not {'above' if better else 'below'} its floor "
                f"{dense.floor:.4g}; "
                "--no-dense-check runs the cells all the same"
            )

    def tell(self) -> None:
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

    def advance(self, track: Track) -> bool:
        """Settle of the track's pool what can be settled without computing. Returns whether nothing is left to do."""
        pool = self.pool(track)
        self._settle_hopeless(pool)
        while (level := pool.next_level(self.rules.search)) is not None and not self.stopped:
            if level not in pool.levels:
                for each in pool.tracks:
                    each.add(level)
                    self.look_up(each)
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
            if level not in track.verdicts and not self.stopped:
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
            del track.measured[level]  # it is on the disk, and a study has millions
            track.known.pop(level, None)
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
        if self.stopped:
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
            self.stopped = True
