"""What the driver keeps of a run: dense models, trajectories, and the pools in which trajectories are judged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from smc_harness.cells import Cell, Measurement, Verdict
from smc_harness.conversation.context import PrunerContext
from smc_harness.conversation.options import RunOptions
from smc_harness.conversation.relay import implements, relay
from smc_harness.declarations.plans import Stage, Train
from smc_harness.discovery.loading import Plugin
from smc_harness.errors import one_line
from smc_harness.lifecycle import keys
from smc_harness.verdict.search import Search


@dataclass(eq=False, slots=True)
class Dense:
    """The dense model of one (task, seed). Settled once `measurement` or `reason` is there.

    key: of its measurement. trained: of its training, which tasks may share.
    floor: the score it must exceed. reason: why the cells that need it cannot run. verdict: theirs in that case.
    """

    task: Plugin
    seed: int
    options: RunOptions
    key: str
    trained: str
    floor: float | None = None
    measurement: Measurement | None = None
    reason: str | None = None
    verdict: Verdict = Verdict.SKIPPED
    output: str = ""

    @property
    def unit(self) -> str:
        return str(self.task.declared("unit") or "")

    @property
    def settled(self) -> bool:
        return self.measurement is not None or self.reason is not None


@dataclass(eq=False, slots=True)
class Track:
    """One trajectory as the driver sees it.

    keys: of the measurements, by level. cost: training stages that no other track shares, all levels together. known:
    measurements in the store before this run, by level. measured: what there is to judge, and whether it came from the
    store. verdicts: of the levels that are settled.
    """

    dense: Dense
    pruner: Plugin
    cells: dict[float, Cell]
    keys: dict[float, str] = field(default_factory=dict)
    cost: int = 0
    known: dict[float, Measurement] = field(default_factory=dict)
    measured: dict[float, tuple[Measurement, bool]] = field(default_factory=dict)
    verdicts: dict[float, Verdict] = field(default_factory=dict)
    fault: str | None = None

    @property
    def levels(self) -> tuple[float, ...]:
        return tuple(sorted(self.cells))

    def prepare(self) -> None:
        """Find the keys and the cost; a plan that cannot be made is this track's fault, nobody else's."""
        task, options = self.dense.task, self.dense.options
        training: set[str] = set()
        try:
            for level, plan, chain in self.planned():
                self.keys[level] = keys.cell(chain[-1], task, options)
                training |= _trained(plan, chain)
        except Exception as error:
            self.fault = f"plan failed: {one_line(error)}"
        self.cost = len(training)

    def chains(self) -> dict[float, tuple[str, ...]]:
        """The keys of the states on the way to each level, the start weights first; made anew each time."""
        return {level: tuple(chain) for level, _, chain in self.planned()}

    def trainings(self) -> dict[float, set[str]]:
        """The keys of the training stages on the way to each level."""
        return {level: _trained(plan, chain) for level, plan, chain in self.planned()}

    def planned(self) -> Iterator[tuple[float, list[Stage], list[str]]]:
        """(level, plan, chain) of every level. Raises whatever the pruner's plan raises."""
        task, options = self.dense.task, self.dense.options
        context = PrunerContext(
            name=self.pruner.name,
            params=self.pruner.params,
            structure=self.pruner.structure,
            seed=self.dense.seed,
            session_seed=options.session_seed,
            training=task.training,
        )
        hook = relay(task, self.pruner) if implements(self.pruner, "plan") else None
        root = keys.root(task, options, self.dense.seed)
        for level in self.levels:
            plan = list(keys.plan_of(hook, self.pruner, level, context))
            yield level, plan, [root, *keys.chain(root, plan, level, self.pruner, options.scope)]

    def add(self, level: float) -> None:
        """One more level, which the search came to want."""
        self.cells[level] = replace(next(iter(self.cells.values())), level=level, added=True)
        self.prepare()


def _trained(plan: Sequence[Stage], chain: Sequence[str]) -> set[str]:
    return {key for key, stage in zip(chain[1:], plan, strict=True) if isinstance(stage, Train)}


@dataclass(eq=False, slots=True)
class Pool:
    """Trajectories with one verdict at each level: usually one, else those of the folds of one data set."""

    tracks: list[Track]
    verdicts: dict[float, Verdict] = field(default_factory=dict)

    def next_level(self, search: Search) -> float | None:
        """The level to judge next; it may be one that no track has yet."""
        pruner = self.tracks[0].pruner
        return search.of(pruner.phase, pruner.levels).next(self.levels, self.verdicts)

    @property
    def levels(self) -> list[float]:
        return sorted({level for track in self.tracks for level in track.cells})

    def lacks(self, track: Track, level: float) -> bool:
        """Whether the track still has to be measured at the level."""
        return level in track.cells and level not in track.measured and level not in track.verdicts


def pools_of(tracks: Iterable[Track]) -> list[Pool]:
    """The pools of some tracks, in order."""
    pools: dict[tuple[str, str, tuple[int, ...]], Pool] = {}
    for track in tracks:
        name = next(iter(track.cells.values())).trajectory
        pools.setdefault(name, Pool([])).tracks.append(track)
    return list(pools.values())
