"""One run, from options to exit code."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from functools import cached_property, partial
from pathlib import Path

from smc_harness.baseline.changes import Comparison
from smc_harness.baseline.entries import Entries, entries
from smc_harness.baseline.evidence import Outcomes
from smc_harness.baseline.reference import Reference
from smc_harness.cells import Cell, CellResult, Verdict
from smc_harness.collection.collect import Collection, collect
from smc_harness.collection.data_files import with_files
from smc_harness.collection.pretrained import with_pretrained
from smc_harness.config import Config
from smc_harness.conversation.options import RunOptions
from smc_harness.conversation.relay import wraps
from smc_harness.declarations.plans import Train
from smc_harness.discovery.loading import Plugin
from smc_harness.errors import ExitCode, UsageError, nearest, one_line
from smc_harness.execution import executors
from smc_harness.execution.about import about, versions
from smc_harness.execution.devices import Device, choose
from smc_harness.execution.driver import Driver
from smc_harness.execution.jobs import PluginRef, Progress
from smc_harness.execution.ledger import Observer, Rules
from smc_harness.execution.protocol import Executor
from smc_harness.execution.tracks import Dense, Track
from smc_harness.lifecycle import keys
from smc_harness.store import folder
from smc_harness.store.artifacts import Artifacts
from smc_harness.store.results import Results
from smc_harness.verdict.margin import margin_of, split
from smc_harness.verdict.rule import Rule, rule_of
from smc_harness.verdict.search import Search


@dataclass
class Session:
    """What session plugins see of a run; read only.

    results: by cell id, in the order in which they were settled. denses: by (task, seed). running: what is under way,
    by "task::pruner seedK". interrupted: whether Ctrl-C ended it. faults: what session plugins raised. device: what is
    computed on. keep_report: puts the JSON of the run into the store, under its number. comparison: with --baseline,
    what got worse or better; code: what came of it; ended: when, in UTC; all there when the session has finished.
    """

    config: Config
    collection: Collection
    store: Path
    number: int = 0
    results: dict[str, CellResult] = field(default_factory=dict)
    denses: dict[tuple[str, int], Dense] = field(default_factory=dict)
    running: dict[str, Progress] = field(default_factory=dict)
    interrupted: bool = False
    faults: list[str] = field(default_factory=list)
    device: Device = field(default_factory=Device)
    keep_report: Callable[[str], None] = lambda report: None
    comparison: Comparison | None = None
    code: ExitCode = ExitCode.DONE
    ended: str | None = None

    def in_order(self) -> list[CellResult]:
        """One result for every collected cell, in collection order; `not-run` for those that were not needed.

        Levels that the search added stand where they belong among those of their trajectory.
        """
        known = {cell.id for cell in self.collection.cells}
        added: dict[tuple[str, str, int], list[CellResult]] = {}
        for name, result in self.results.items():
            if name not in known:
                added.setdefault(_trajectory(result.cell), []).append(result)
        found: list[CellResult] = []
        last = {_trajectory(cell): cell.id for cell in self.collection.cells}
        for cell in self.collection.cells:
            mine = sorted(added.get(_trajectory(cell), []), key=lambda result: result.cell.level)
            below = [result for result in mine if result.cell.level < cell.level]
            above = [result for result in mine if result.cell.level > cell.level]
            found += [*below, self.result_of(cell)]
            added[_trajectory(cell)] = above
            if cell.id == last[_trajectory(cell)]:
                found += above
        return found

    def over(self, cell: Cell, verdicts: Mapping[float, Verdict]) -> bool:
        """Whether the cell's trajectory, which has these verdicts so far, needs no further one."""
        pruner = self.collection.pruners[cell.pruner]
        levels = sorted({*self._levels[_trajectory(cell)], *verdicts})
        return self.search.of(pruner.phase, pruner.levels).next(levels, verdicts) is None

    @property
    def search(self) -> Search:
        return Search(self.config.options.search, self.config.options.resolution)

    @cached_property
    def _levels(self) -> dict[tuple[str, str, int], list[float]]:
        """Of each trajectory, those that were asked for."""
        levels: dict[tuple[str, str, int], list[float]] = {}
        for cell in self.collection.cells:
            levels.setdefault(_trajectory(cell), []).append(cell.level)
        return levels

    def rule_of(self, task: Plugin) -> Rule:
        """By which the cells of a task are judged. Raises UsageError."""
        options = self.config.options
        return rule_of(options.verdict, margin_of(task.name, options.tolerance, task.declared("tolerance")))

    def result_of(self, cell: Cell) -> CellResult:
        """Of a collected cell; `not-run` if it is not settled."""
        if (found := self.results.get(cell.id)) is not None:
            return found
        dense = self.denses[cell.task, cell.seed].measurement
        metric = str(self.collection.tasks[cell.task].declared("metric", "score"))
        return CellResult(cell, Verdict.NOT_RUN, metric, dense=dense.value if dense else None)


def _trajectory(cell: Cell) -> tuple[str, str, int]:
    return cell.task, cell.pruner, cell.seed


def run(config: Config, command: list[str]) -> Session:
    """Collect, plan, run, report. Returns the settled session, whose `code` says what came of it. Raises UsageError."""
    reference = Reference.of(config.options.baseline, config.options.update_baseline)
    session = Session(config, collect(config), Path(config.options.store))
    stop = cannot_start(session)
    tracks = plan(session) if stop is None else []
    with opened(session) as results:
        if stop is not None:
            session.code = stop
            config.hook.session_started(session=session)
            config.hook.session_finished(session=session, results=[])
            return session
        begin(session, results, command)
        drive(session, tracks, results)
        end(session, results, reference)
    return session


@contextmanager
def opened(session: Session) -> Iterator[Results]:
    """The results of the session's store, which is emptied before if that was asked for.

    Nothing of it is lost, and nothing shown, before all that was asked for is known to be possible: `plan` comes first.
    """
    if session.config.options.cache_clear:
        folder.clear(session.store)
    results = Results(folder.prepare(session.store))
    try:
        yield results
    finally:
        results.close()


def begin(session: Session, results: Results, command: list[str]) -> None:
    """The session has a number in the store from here on."""
    session.config.hook.session_started(session=session)
    session.number = results.begin_session(shlex.join(command))
    session.keep_report = partial(results.keep_report, session.number)


def end(session: Session, results: Results, reference: Reference | None = None) -> None:
    """Compare, write down, report. Raises UsageError for a baseline that cannot be written."""
    config, settled = session.config, session.in_order()
    session.ended = datetime.now(UTC).isoformat(sep=" ", timespec="seconds")
    if reference is not None:
        session.comparison = reference.compare(measured(session), outcomes(session))
    session.code = exit_code(session, settled)
    for fault in dict.fromkeys(session.faults):
        print(f"smc-harness: a session plugin failed: {fault}", file=sys.stderr)
    results.end_session(session.number, session.code)
    config.hook.session_finished(session=session, results=settled)
    config.hook.report(results=settled, config=config)
    if reference is not None and config.options.update_baseline:
        _update(reference, session)


def cannot_start(session: Session) -> ExitCode | None:
    """The exit code of a run that ends before its first cell, or None."""
    if session.config.options.strict_plugins and session.collection.catalogue.problems:
        return ExitCode.PLUGIN
    return None if session.collection.cells else ExitCode.NOTHING


def plan(session: Session) -> list[Track]:
    """Group the cells into trajectories, and those around the dense models that they share. Raises UsageError."""
    options = session.config.options
    _check_tolerances(session)
    executors.check(options)
    session.device = choose(options.device, here=options.dist == "local")
    common = RunOptions(
        session_seed=options.seed,
        scope=options.scope,
        limit=options.limit,
        data_dir=str(Path(options.data_dir).resolve()) if options.data_dir else None,
        model_dir=str(Path(options.model_dir).resolve()) if options.model_dir else None,
        threads=options.threads,
        device=session.device.kind,
        precision=options.precision,
        evaluate_in=options.evaluate_in,
        wrappers=tuple(plugin.identity for plugin in session.config.stash.get("listeners", ()) if wraps(plugin)),
    )
    tracks: dict[tuple[str, str, int], Track] = {}
    for cell in session.collection.cells:
        if (cell.task, cell.seed) not in session.denses:
            task = session.collection.tasks[cell.task]
            own = with_pretrained(task, with_files(task, common, cell.seed), cell.seed)
            session.denses[cell.task, cell.seed] = _dense(task, cell.seed, own)
        pruner, dense = session.collection.pruners[cell.pruner], session.denses[cell.task, cell.seed]
        name = _trajectory(cell)
        if name not in tracks:
            tracks[name] = Track(dense, pruner, {})
        tracks[name].cells[cell.level] = cell
    return list(tracks.values())


def _check_tolerances(session: Session) -> None:
    """Raise UsageError for one that is for no task, or that is none."""
    tasks = session.collection.tasks
    for text in session.config.options.tolerance:
        names, _ = split(text)
        if not any(fnmatchcase(name, names) for name in tasks):
            raise UsageError(f"--tolerance {text}: no task of this run is called {names}{nearest(names, list(tasks))}")
    for task in tasks.values():
        session.rule_of(task)


def _dense(task: Plugin, seed: int, options: RunOptions) -> Dense:
    root = keys.root(task, options, seed)
    (trained,) = keys.chain(root, [Train()], None, None, options.scope)
    return Dense(task, seed, options, keys.cell(trained, task, options), trained)


def drive(
    session: Session, tracks: list[Track], results: Results, executor: Callable[[int], Executor] | None = None
) -> None:
    """Settle these tracks, of which there may be more to come; a Ctrl-C leaves the session `interrupted`.

    executor: for so many jobs; None: the one that was asked for.
    """
    options = session.config.options

    def finished(result: CellResult) -> None:
        session.results[result.cell.id] = result
        tell(session.config.hook.cell_finished, result=result)

    def started(cell: Cell) -> None:
        tell(session.config.hook.cell_started, cell=cell)

    def tell(hook: Callable[..., object], **arguments: object) -> None:
        """A session plugin that fails must not cost the run; it is named in the end."""
        try:
            hook(**arguments)
        except Exception as error:
            session.faults.append(one_line(error))

    plugins = [*session.collection.tasks.values(), *session.collection.pruners.values()]
    observer = Observer(started, finished, partial(results.settle, session.number), session.running)
    rules = Rules(session.rule_of, session.search, not options.no_dense_check, options.maxfail)
    listeners = tuple(PluginRef.of(plugin) for plugin in session.config.stash.get("listeners", ()))
    driver = Driver(
        tracks,
        executor or partial(executors.executor, options, session.device, plugins),
        results,
        rules,
        observer,
        listeners,
        str(session.store.resolve()),
    )
    try:
        driver.run()
    except KeyboardInterrupt:
        session.interrupted = True


def measured(session: Session) -> Entries:
    """What the session measured, as baselines hold it."""
    options = vars(session.config.options) | {"device": session.device.kind}
    tasks = {task.name: about(task, denses, session.rule_of(task).margin) for task, denses in tasks_of(session)}
    return entries(versions(), options, tasks, session.in_order())


def outcomes(session: Session) -> Outcomes:
    """What its store keeps of the examples."""
    return Outcomes(Artifacts(session.store / "artifacts"), session.collection.tasks.get)


def _update(reference: Reference, session: Session) -> None:
    """Say what becomes of the baseline, unless nothing does. Raises UsageError."""
    found = measured(session)
    if session.interrupted or not found:
        why = "the run was interrupted" if session.interrupted else "nothing was measured"
        print(f"smc-harness: {reference.path} is left as it was: {why}", file=sys.stderr)
    elif reference.update(found, outcomes(session)):
        print(f"smc-harness: {reference.path} is written", file=sys.stderr)


def exit_code(session: Session, results: list[CellResult]) -> ExitCode:
    """2, 6, 1, 5 or 0, whichever holds first."""
    verdicts = {result.verdict for result in results}
    strict = session.config.options.strict
    if session.interrupted:
        return ExitCode.INTERRUPTED
    if session.faults:
        return ExitCode.INTERNAL
    if Verdict.ERROR in verdicts:
        return ExitCode.CELL_ERROR
    if strict and verdicts & {Verdict.FAIL, Verdict.INCONCLUSIVE}:
        return ExitCode.REGRESSION
    # who writes the baseline anew has accepted what it shows
    if session.comparison is not None and session.comparison.regressed and not session.config.options.update_baseline:
        return ExitCode.REGRESSION
    if verdicts <= {Verdict.SKIPPED, Verdict.NOT_RUN}:
        return ExitCode.NOTHING
    return ExitCode.DONE


def tasks_of(session: Session) -> Iterator[tuple[Plugin, list[Dense]]]:
    """The tasks of this run with their dense models, one a seed."""
    for task in session.collection.tasks.values():
        if denses := [dense for (name, _), dense in session.denses.items() if name == task.name]:
            yield task, denses
