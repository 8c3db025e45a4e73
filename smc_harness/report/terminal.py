"""The terminal: what runs, what came out, and the closing table."""

from __future__ import annotations

import argparse
import atexit
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from smc_harness.cells import Judgement, Verdict, counted, visible
from smc_harness.hookspecs import hookimpl
from smc_harness.report.files import takes_stdout

if TYPE_CHECKING:
    from rich.console import Console

    from smc_harness.cells import Cell, CellResult
    from smc_harness.config import Config
    from smc_harness.report.live import LiveView
    from smc_harness.session import Session

_NO_LIMIT = 100_000
"""The width of a log."""
_LETTERS = {"pass": ".", "fail": "F", "inconclusive": "?", "error": "E", "skipped": "s", "not-run": "-"}
STYLES = {
    "pass": "green",
    "fail": "red",
    "inconclusive": "yellow",
    "error": "bold magenta",
    "skipped": "yellow",
    "not-run": "dim",
}


def support(found: Judgement | None) -> str:
    """What supports a verdict, where it was more than the two scores."""
    if found is None or found.low is None:
        return ""
    needed = [counted(found.needed, "example")] if found.needed else []
    needed += [counted(found.needed_seeds, "seed")] if found.needed_seeds else []
    wanted = f", about {' or '.join(needed)} would tell" if needed else ""
    return f"drop {found.low:.4f} to {found.high:.4f}{wanted}"


def _support(result: CellResult) -> str:
    text, seeds = support(result.judgement), len(result.pooled.seeds) if result.pooled else 1
    return f" {text}" + (f" (over {counted(seeds, 'seed')})" if seeds > 1 else "") if text else ""


def new_console(options: argparse.Namespace) -> Console:
    """For the terminal, or for plain unfolded lines where there is none."""
    from rich.console import Console

    # results that go to standard output must not meet anything else there
    stream = sys.stderr if takes_stdout(options) else sys.stdout
    width = None if stream.isatty() else _NO_LIMIT
    return Console(file=stream, highlight=False, soft_wrap=True, emoji=False, width=width)


@hookimpl
def configure(config: Config) -> None:
    if not config.options.collect_only:
        config.pluginmanager.register(Terminal(config), "terminal-reporter")


class Terminal:
    """Writes the run to the terminal, or plain unfolded lines where there is none."""

    def __init__(self, config: Config) -> None:
        self.console = new_console(config.options)
        self.loud = config.options.verbose - config.options.quiet
        self.started = time.monotonic()
        self.session: Session | None = None
        self.live: LiveView | None = None
        self._pending: dict[str, list[CellResult]] = {}

    def line(self, text: str = "", style: str | None = None) -> None:
        self.console.print(text, style=style, markup=False)

    @hookimpl
    def session_started(self, session: Session) -> None:
        self.session = session
        collection = session.collection
        catalogue = collection.catalogue
        if self.loud >= 0:
            self._header(session)
        for problem in catalogue.problems:
            self.line(visible(f"PROBLEM {problem.source}: {problem.reason}"), "bold magenta")
        if self.loud >= 0:
            for notice in catalogue.notices:
                self.line(visible(notice), "yellow")
        if not collection.cells:
            self.line("no cells: nothing to run", "yellow")
        elif self.console.file.isatty() and self.loud > -2:
            from rich.live import Live

            from smc_harness.report.live import LiveView

            self.live = LiveView(session)
            self.display = Live(
                self.live, console=self.console, refresh_per_second=5, transient=True, redirect_stdout=False
            )
            self.display.start()
            atexit.register(self.display.stop)  # a run that breaks off must not leave the cursor hidden

    def _header(self, session: Session) -> None:
        from importlib.metadata import version

        from smc_harness import __version__

        options, collection = session.config.options, session.collection
        counts = [
            counted(len({getattr(cell, axis) for cell in collection.cells}), axis)
            for axis in ("task", "pruner", "level", "seed")
        ]
        gpus = session.device.gpus
        device = f"device {session.device.kind}" + (f" ({counted(len(gpus), 'GPU')})" if gpus else "")
        how = [device] * (session.device.kind != "cpu")
        how += [f"precision {options.precision}"] * (options.precision != "float32")
        how += [f"evaluated in {options.evaluate_in}"] * (options.evaluate_in not in (None, options.precision))
        self.line(
            f"smc-harness {__version__}, torch {version('torch')}, scope {options.scope}, session seed {options.seed}, "
            f"{''.join(f'{item}, ' for item in how)}store {session.store}"
        )
        gone = f", {collection.deselected} deselected" if collection.deselected else ""
        self.line(f"collected {counted(len(collection.cells), 'cell')} ({', '.join(counts)}){gone}\n")

    @hookimpl
    def cell_started(self, cell: Cell) -> None:
        if self.live is not None:
            self.live.started(cell)

    @hookimpl
    def cell_finished(self, result: CellResult) -> None:
        if self.live is not None:
            self.live.finished(result)
        if self.loud > 0:
            self._cell_line(result)
        elif self.loud == 0:
            self._collect_letters(result)

    def _cell_line(self, result: CellResult) -> None:
        from rich.text import Text

        verdict = result.verdict.value
        text = Text(result.cell.id + " ").append(verdict.upper(), STYLES[verdict])
        if result.value is not None and result.measurement is not None:
            text.append(f" {result.value:.4g} (dense {result.dense:.4g}) {result.measurement.seconds:.1f} s")
            text.append(_support(result), "dim")
            text.append(" cached" if result.cached else "", "dim")
            found = result.diagnosis if verdict == "fail" else [result.missed] if result.missed else []
            text.append(visible(f" {'; '.join(found)}") if found else "", "dim")
        if result.error:
            text.append(visible(f" {result.error}"))
        self.console.print(text)

    def _collect_letters(self, result: CellResult) -> None:
        """One line for a trajectory, when its last cell is settled."""
        cell = result.cell
        name = visible(f"{cell.task}::{cell.pruner} seed{cell.seed}")
        pending = self._pending.setdefault(name, [])
        pending.append(result)
        assert self.session is not None
        if self.session.over(cell, {other.cell.level: other.verdict for other in pending}):
            self._trajectory_line(name, self._pending.pop(name))

    def _trajectory_line(self, name: str, results: Sequence[CellResult]) -> None:
        from rich.text import Text

        from smc_harness.report.tables import interval
        from smc_harness.verdict.first_fail import first_fails

        text = Text(name + " ")
        for result in sorted(results, key=lambda result: result.cell.level):
            text.append(_LETTERS[result.verdict.value], STYLES[result.verdict.value])
        text.append(f" {interval(first_fails(results)[0], doubt=False)}")  # of the levels so far
        if all(result.cached for result in results):
            text.append(" cached", "dim")
        self.console.print(text)

    @hookimpl
    def session_finished(self, session: Session, results: Sequence[CellResult]) -> None:
        if self.live is not None:
            self.display.stop()
        if not results:
            return  # what could not start has been said
        from smc_harness.report import tables

        for name, pending in self._pending.items():
            self._trajectory_line(name, pending)
        seconds, options = time.monotonic() - self.started, session.config.options
        tables.closing(self.console, session, results, seconds, self.loud, options.debug, options.durations)
        self._again(session, results)
        if session.comparison is not None:
            from smc_harness.report import compared

            compared.show(self.console, session.comparison, options.update_baseline, self.loud)

    def _again(self, session: Session, results: Sequence[CellResult]) -> None:
        """How to run what went wrong again, where that is less than all of it."""
        options = session.config.options
        wrong = [result for result in results if result.verdict in (Verdict.FAIL, Verdict.ERROR)]
        asked = options.strict or any(result.verdict is Verdict.ERROR for result in wrong)
        if wrong and asked and len(wrong) < len(results) and not session.interrupted and self.loud > -2:
            what = counted(len(wrong), "cell") + " that failed or ended in error"
            self.line(f"the same command with --lf runs only the {what}", "dim")
