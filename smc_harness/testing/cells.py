"""`pytest --smc`: the cells of a run as items of pytest, settled by our own driver."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from smc_harness.cells import Cell, CellResult
from smc_harness.cli.run import configured
from smc_harness.collection.collect import collect
from smc_harness.errors import ExitCode, HarnessError, UsageError
from smc_harness.execution.tracks import Pool, pools_of
from smc_harness.session import Session, begin, cannot_start, drive, end, opened, plan
from smc_harness.testing.items import SUMMARY, CellItem

if TYPE_CHECKING:
    from smc_harness.store.results import Results

_OF_PYTEST = {
    "maxfail": "-x and --maxfail",
    "last_failed": "--lf",
    "collect_only": "--collect-only",
}
"""Options that pytest has itself, of which there would be two."""
_OF_A_WHOLE_RUN = {
    "baseline": "--baseline",
    "update_baseline": "--update-baseline",
    "json": "--json",
    "cache_clear": "--cache-clear",
}
"""Options that are for all cells together, of which a process of pytest may see some alone."""


class Cells:
    """The plugin that `--smc` registers. One session of the harness in each process that runs items.

    A trajectory is settled when its first item is run, as far as its search needs, for all of its cells that were
    selected: what came of one of them depends on the others.
    """

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        words = [word for path in config.option.smc for word in ("--collect", path)]
        for text in config.option.smc_options:
            try:
                words += shlex.split(text)
            except ValueError as error:
                raise pytest.UsageError(f"--smc-options={text}: {error}; quote it as for a shell") from error
        self.words = [*words, "-p", "no:terminal"]
        self.strict = False
        self._session: Session | None = None
        self._results: Results | None = None
        self._refusal = ""
        self._open = ExitStack()
        self._pools: dict[tuple[str, str, tuple[int, ...]], Pool] = {}
        self._curves: dict[tuple[str, str, tuple[int, ...]], list[CellResult]] = {}
        self._groups: dict[str, str] = {}

    # -- collection ---------------------------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Find the plugins, in every process: the one that hands out items to others must know what belongs together,
        and is the one that can refuse options in a single line.
        """
        try:
            self._session = self._collected()
        except HarnessError as error:
            raise pytest.UsageError(f"--smc: {error}") from error

    def _collected(self) -> Session:
        config = configured([*self.words, *self._ids()])
        _refuse(vars(config.options))
        config.hook.configure(config=config)
        session = Session(config, collect(config), Path(config.options.store))
        if cannot_start(session) is ExitCode.PLUGIN:
            problem = session.collection.catalogue.problems[0]
            raise UsageError(f"--strict-plugins: {problem.source}: {problem.reason}")
        self.strict = config.options.strict
        for cell in session.collection.cells:
            # a dense model is trained once if all that is compared with it is in one process
            training = session.collection.tasks[cell.task].training
            self._groups[cell.id] = f"{training} {cell.pool or cell.seed}"
        return session

    def _ids(self) -> list[str]:
        """Take out of pytest's arguments what is no path: ids of cells. Without any paths there is nothing else to run.

        They are kept among the options, which is how processes of xdist get to know them.
        """
        paths = self.config.args if self.config.args_source is pytest.Config.ArgsSource.ARGS else []
        kept: list[str] = self.config.option.__dict__.setdefault("smc_ids", [])
        kept += [path for path in paths if not Path(path.partition("::")[0]).exists()]
        self.config.args[:] = [path for path in paths if path not in kept]
        return kept

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, session: pytest.Session, items: list[pytest.Item]) -> None:
        """Add the cells, before -k, --lf and --deselect choose among all items."""
        assert self._session is not None
        cells = [CellItem.of(session, self, cell) for cell in self._session.collection.cells]
        items += cells
        report = pytest.CollectReport("", "passed", None, list(cells))  # by which pytest counts what was collected
        session.ihook.pytest_collectreport(report=report)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Plan for what was selected; data that is not there is found out before anything runs."""
        cells = [item.cell for item in session.items if isinstance(item, CellItem)]
        if session.config.option.collectonly or not cells:
            return
        assert self._session is not None
        self._session.collection = replace(self._session.collection, cells=cells)
        try:
            self._pools = {_trajectory(pool): pool for pool in pools_of(plan(self._session))}
            self._results = self._open.enter_context(opened(self._session))
        except HarnessError as error:
            if not hasattr(self.config, "workerinput"):
                raise pytest.UsageError(f"--smc: {error}") from error
            self._refusal = str(error)  # a process of xdist that ends here would leave xdist without a word to say
            return
        begin(self._session, self._results, ["pytest", *self.config.invocation_params.args])

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> Any:
        """Under xdist's usual --dist load, cells that share a dense model go to one process."""
        if config.option.dist != "load":
            return None
        from xdist.scheduler import LoadScopeScheduling

        scheduling = LoadScopeScheduling(config, log)
        scheduling._split_scope = lambda nodeid: self._groups.get(nodeid, nodeid)
        return scheduling

    # -- running ------------------------------------------------------------------------------------------------

    def settle(self, cell: Cell) -> CellResult:
        """The cell's result, computed now unless another one of its trajectory was asked for before."""
        if self._refusal:
            pytest.fail(self._refusal, pytrace=False)
        assert self._session is not None and self._results is not None
        if (pool := self._pools.get(cell.trajectory)) is not None:
            drive(self._session, pool.tracks, self._results)
            settled = [r for r in self._session.in_order() if r.cell.trajectory == cell.trajectory]
            self._curves[cell.trajectory] = settled
            del self._pools[cell.trajectory]
        if self._session.interrupted:
            raise KeyboardInterrupt
        if self._session.faults:
            pytest.fail(f"a session plugin failed: {self._session.faults[0]}", pytrace=False)
        return self._session.result_of(cell)

    def curve(self, cell: Cell) -> list[CellResult]:
        """The results of a settled cell's trajectory, levels that the search added included."""
        return self._curves[cell.trajectory]

    def pytest_sessionfinish(self) -> None:
        if self._session is not None and self._results is not None:
            # the others were left, or run by another process
            collection = self._session.collection
            mine = [cell for cell in collection.cells if cell.trajectory not in self._pools]
            self._session.collection = replace(collection, cells=mine)
            end(self._session, self._results)
        self._open.close()

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """The first fails: of all processes, since items bring theirs along."""
        assert self._session is not None
        catalogue = self._session.collection.catalogue
        said = [f"PROBLEM {problem.source}: {problem.reason}" for problem in catalogue.problems] + catalogue.notices
        for reports in terminalreporter.stats.values():
            for report in reports:
                said += [str(text) for name, text in getattr(report, "user_properties", ()) if name == SUMMARY]
        if said:
            terminalreporter.section("first fails")
            for line in dict.fromkeys(said):
                terminalreporter.line(line)


def _trajectory(pool: Pool) -> tuple[str, str, tuple[int, ...]]:
    return next(iter(pool.tracks[0].cells.values())).trajectory


def _refuse(options: Mapping[str, Any]) -> None:
    """Raise UsageError for what has no meaning here, wherever it was set."""
    for name, option in _OF_PYTEST.items():
        if options[name]:
            raise UsageError(f"{option} of smc-harness is set; pytest's own would work")
    for name, option in _OF_A_WHOLE_RUN.items():
        if options.get(name):
            raise UsageError(f"{option} of smc-harness is set; smc-harness {option} would work, on the same store")
