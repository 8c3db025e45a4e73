"""The tables of a run beside what was published."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from smc_harness.cells import show_level, visible
from smc_harness.report.beside import Line, Panel
from smc_harness.report.saved import SavedRun
from smc_harness.report.tables import dense_scores, fitting, interval, score
from smc_harness.report.terminal import STYLES
from smc_harness.verdict.first_fail import FirstFail

_UNCERTAIN = "?"
_FIRST_FAIL = "first fail"
_Column = float | str
"""A level, or the first fail."""


def show(console: Console, run: SavedRun, panel: Panel) -> None:
    """Pruners x levels, ours above the published line; below, what the marks mean and what must be kept in mind."""
    ours = ", ".join(dense_scores(run, run.results, panel.task))
    theirs = score(panel.curves.dense.value, panel.unit)
    console.print(Text(f"\n{visible(panel.task)}", "bold"))
    unit = " in %" if panel.unit == "fraction" else ""
    head = Text(f"{panel.metric}{unit} by level; dense {ours} here, {theirs} published", "italic")
    console.print(head, soft_wrap=False)
    columns: list[_Column] = [_FIRST_FAIL, *panel.levels]
    for table in fitting(console, columns, lambda shown: _table(panel, shown)):
        console.print(table)
    for line in _remarks(panel):
        console.print(line, style="dim", markup=False, soft_wrap=False)
    console.print(panel.caveat, style="yellow" if panel.differs else "dim", markup=False, soft_wrap=False)


def _table(panel: Panel, columns: Sequence[_Column]) -> Table:
    table = Table(box=box.SIMPLE, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("pruner", overflow="fold")
    table.add_column("", style="dim")
    for column in columns:
        if isinstance(column, str):
            table.add_column(column, overflow="fold")
        else:
            table.add_column(show_level(column), justify="right", no_wrap=True)
    for pruner in panel.pruners:
        lines = [line for line in panel.lines if line.pruner == pruner]
        for line in lines:
            name = Text(visible(pruner)) if line is lines[0] else Text()
            whose = "here" if len(lines) == 1 else f"here, seed{'s' * (len(line.found.seeds) > 1)} {_seeds(line)}"
            table.add_row(name, whose, *(_ours(panel, line, column) for column in columns))
        if pruner in panel.judged:
            table.add_row("", "published", *(_theirs(panel, pruner, column) for column in columns))
    return table


def _seeds(line: Line) -> str:
    seeds = line.found.seeds
    return str(seeds[0]) if len(seeds) == 1 else f"{seeds[0]}-{seeds[-1]}"


def _ours(panel: Panel, line: Line, column: _Column) -> Text:
    if isinstance(column, str):
        return Text(interval(line.found))
    value = line.values.get(column)
    return Text() if value is None else _value(panel, value, panel.fails(value, line.dense))


def _theirs(panel: Panel, pruner: str, column: _Column) -> Text:
    if isinstance(column, str):
        return Text(interval(panel.judged[pruner]) + f" {_UNCERTAIN}" * panel.is_uncertain(pruner))
    point = panel.points(pruner).get(column)
    if point is None:
        return Text()
    fails = panel.fails(point.value, panel.curves.dense.value)
    return _value(panel, point.value, fails, point.uncertain)


def _value(panel: Panel, value: float, fails: bool, uncertain: bool = False) -> Text:
    shown = f"{100 * value:.1f}" if panel.unit == "fraction" else f"{value:.2f}"
    mark = _UNCERTAIN if uncertain else " " * any(point.uncertain for point in panel.shown)  # points stand in line
    return Text(shown + mark, STYLES["fail" if fails else "pass"])


def _remarks(panel: Panel) -> list[str]:
    sources = ", ".join(dict.fromkeys(point.source for point in [panel.curves.dense, *panel.shown] if point.source))
    remarks = [f"both are judged alike: a drop of more than {panel.rule.margin.show(panel.unit)} fails"]
    if any(point.uncertain for point in panel.shown):
        remarks.append(f"{_UNCERTAIN} an uncertain reading, and a first fail that rests on one")
    if any(not found.monotone for found in _all_found(panel)):
        remarks.append("~ a level above the first fail passed: the curve is not monotone")
    about = "; ".join(filter(None, (sources, panel.curves.dense.note)))
    remarks += [f"published: {about}"] * bool(about) + panel.notes
    if missing := [name for name in panel.pruners if name not in panel.judged]:
        remarks.append(f"nothing published: {', '.join(map(visible, missing))}")
    if others := [name for name in panel.judged if name not in panel.pruners]:
        remarks.append(f"published, and not in this run: {', '.join(others)}")
    return remarks


def _all_found(panel: Panel) -> list[FirstFail]:
    return [line.found for line in panel.lines] + [panel.judged[name] for name in panel.pruners if name in panel.judged]
