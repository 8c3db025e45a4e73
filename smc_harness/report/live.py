"""The live part of the terminal: how far the run is, and what each worker does."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Console, ConsoleOptions, RenderResult
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from smc_harness.cells import show_level, visible

if TYPE_CHECKING:
    from smc_harness.cells import Cell, CellResult, Verdict
    from smc_harness.execution.jobs import Progress
    from smc_harness.session import Session


class LiveView:
    """Drawn a few times a second; reads the session's state as it is."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.began = time.monotonic()
        self.levels: dict[str, float] = {}
        self.settled: dict[str, dict[float, Verdict]] = {}
        self.over: set[str] = set()

    def started(self, cell: Cell) -> None:
        self.levels[f"{cell.task}::{cell.pruner} seed{cell.seed}"] = cell.level

    def finished(self, result: CellResult) -> None:
        cell = result.cell
        name = f"{cell.task}::{cell.pruner} seed{cell.seed}"
        settled = self.settled.setdefault(name, {})
        settled[cell.level] = result.verdict
        if self.session.over(cell, settled):
            self.over.add(name)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from self._rows(options.max_width)

    def _rows(self, width: int) -> Iterator[Table | Text]:
        total, done = 0, 0
        for cell in self.session.collection.cells:
            name = f"{cell.task}::{cell.pruner} seed{cell.seed}"
            total += 1
            done += name in self.over or cell.level in self.settled.get(name, ())
        elapsed = time.monotonic() - self.began
        yield Text(f"{done} of {total} cells settled, {elapsed:.0f} s", "bold")
        grid = Table.grid(padding=(0, 1), expand=False)
        for name, progress in list(self.session.running.items()):
            level = self.levels.get(name)
            at = f"{name} {show_level(level)}" if level is not None else name
            grid.add_row(
                Text(visible(at), no_wrap=True), _bar(progress, max(8, min(30, width - 60))), Text(progress.what)
            )
        yield grid


def _bar(progress: Progress, width: int) -> ProgressBar:
    return ProgressBar(total=max(1, progress.of), completed=progress.step, width=width)
