"""The closing tables of the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from smc_harness.cells import CellResult, Verdict, counted, show_level, visible
from smc_harness.report.terminal import STYLES
from smc_harness.verdict.controls import compare
from smc_harness.verdict.first_fail import FirstFail, first_fails

if TYPE_CHECKING:
    from smc_harness.execution.tracks import Dense
    from smc_harness.session import Session

_NO_LIMIT = 100_000
_AGAINST_OWN = {0: ("=", "fails at the same level as"), -1: ("<", "fails at a lower level than")}
_FINDINGS = 3
_PHASES = ("before", "during", "after", "iterative")


def interval(found: FirstFail) -> str:
    """`(0.488, 0.59]`, `none up to 0.893`, or why there is none. A non-monotone curve is marked `~`."""
    if found.first_fail is not None:
        low = "-" if found.last_pass is None else show_level(found.last_pass)
        return f"({low}, {show_level(found.first_fail)}]" + ("" if found.monotone else " ~")
    if found.highest is not None:
        unsettled = f" ({found.unsettled.value} elsewhere)" if found.unsettled else ""
        return f"none up to {show_level(found.highest)}{unsettled}"
    return found.unsettled.value if found.unsettled else "not run"


def _mark(outcome: int | None) -> str:
    return f" {_AGAINST_OWN[outcome][0]}" if outcome in _AGAINST_OWN else ""


def _style(found: FirstFail) -> str:
    if found.first_fail is None and found.highest is None:
        return STYLES["error"] if found.unsettled is Verdict.ERROR else "dim"
    return STYLES["pass"] if found.first_fail is None else STYLES["fail"] if found.last_pass is None else ""


def first_fail(console: Console, session: Session, results: Sequence[CellResult]) -> None:
    """Pruners x tasks: (last pass, first fail], with the dense score above; a line for each seed, or pool of folds.

    Nothing is cut: tasks that do not fit beside the others get a table below, and a cell that is too wide is folded.
    """
    found = first_fails(results)
    if not found:
        return
    console.print(Text("\nfirst fail: (last pass, first fail]", "italic"))
    shown: list[str] = []
    for task in dict.fromkeys(item.task for item in found):
        wider = _table(session, results, [*shown, task])
        if (
            shown
            and Measurement.get(console, console.options.update(max_width=_NO_LIMIT), wider).maximum > console.width
        ):
            console.print(_table(session, results, shown))
            shown = []
        shown.append(task)
    console.print(_table(session, results, shown))
    for task, how in _selections(session).items():
        console.print(f"{visible(task)}: the weights were selected on {how}", style="dim", markup=False)
    against = {item.against_own_ratios for item in compare(found)}
    for outcome, (mark, words) in _AGAINST_OWN.items():
        if outcome in against:
            console.print(
                f"{mark} {words} random pruning with its own ratio in every tensor (~own-ratios)", style="dim"
            )
    if any(not item.monotone for item in found):
        console.print("~ a level above the first fail passed: the curve is not monotone\n", style="dim")


def _table(session: Session, results: Sequence[CellResult], tasks: Sequence[str]) -> Table:
    phases = {result.cell.pruner: result.cell.phase for result in results}
    pruners = sorted(phases, key=lambda name: ((*_PHASES, phases[name]).index(phases[name]), name.partition("~")))
    cells: dict[tuple[str, str], list[FirstFail]] = {}
    found = first_fails(results)
    for item in found:
        cells.setdefault((item.pruner, item.task), []).append(item)
    marks = {(item.pruner, item.task, item.seed): _mark(item.against_own_ratios) for item in compare(found)}
    table = Table(box=box.SIMPLE, pad_edge=False)
    table.add_column("pruner", overflow="fold")
    table.add_column("phase", overflow="fold", style="dim")
    for task in tasks:
        table.add_column(Text(visible(task)), overflow="fold")
    table.add_row("dense", "", *[_dense(session, results, task) for task in tasks], end_section=True)
    for pruner in pruners:
        row = [
            Text("\n").join(
                Text(interval(item) + marks.get((pruner, task, item.seed), ""), _style(item))
                for item in cells.get((pruner, task), [])
            )
            for task in tasks
        ]
        table.add_row(Text(visible(pruner)), phases[pruner], *row)
    return table


def _selections(session: Session) -> dict[str, str]:
    """Of tasks that keep the best epoch: by which examples it was chosen."""
    words = {"test": "the scored examples", "valid": "examples held out from training"}
    found = {}
    for (task, _), dense in session.denses.items():
        if dense.measurement is not None and (how := dense.measurement.logged.get("selected_on")) in words:
            found[task] = words[how]
    return found


def _dense(session: Session, results: Sequence[CellResult], task: str) -> Text:
    """A line for each seed, or for each pool of folds the mean over their examples."""
    pools = dict.fromkeys(result.cell.trajectory[2] for result in results if result.cell.task == task)
    denses = [[session.denses[task, seed] for seed in seeds if (task, seed) in session.denses] for seeds in pools]
    return Text("\n").join(Text(_dense_score(pool), "bold") for pool in denses)


def _dense_score(pool: Sequence[Dense]) -> str:
    found = [dense.measurement for dense in pool if dense.measurement is not None]
    if not found:
        return "-"
    unit = pool[0].task.declared("unit", "")
    value = sum(measured.value * measured.n for measured in found) / sum(measured.n for measured in found)
    folds = f" ({counted(len(found), 'fold')})" if len(pool) > 1 else ""
    return (f"{100 * value:.2f} %" if unit == "fraction" else f"{value:.2f} {unit}".strip()) + folds


def reasons(console: Console, results: Sequence[CellResult]) -> None:
    """What the diagnosis says of each trajectory's first failed cell, and of any whose sparsity was not asked for."""
    told: set[tuple[str, str, tuple[int, ...]]] = set()
    lines = []
    for result in sorted(results, key=lambda result: result.cell.level):
        cell = result.cell
        found = result.diagnosis if result.verdict is Verdict.FAIL else [result.missed] if result.missed else []
        if found and cell.trajectory not in told:
            lines.append((cell.id, short(found)))
        if found or result.verdict is Verdict.FAIL:
            told.add(cell.trajectory)
    if lines:
        console.print(Text("what mask and predictions tell", "italic"))
    for name, text in sorted(lines):
        console.print(Text(name, "").append(f" {text}", "dim"))
    if lines:
        console.print()


def short(findings: Sequence[str]) -> str:
    """The first findings, and how many more there are; `--json` has them all."""
    more = f"; and {len(findings) - _FINDINGS} more" if len(findings) > _FINDINGS else ""
    return "; ".join(findings[:_FINDINGS]) + more


def problems(console: Console, results: Sequence[CellResult], debug: bool) -> None:
    """Each distinct error and skip reason once, with the number of cells that it cost."""
    for verdict in (Verdict.ERROR, Verdict.SKIPPED):
        reasons: dict[tuple[str, str, str], list[CellResult]] = {}
        for result in results:
            if result.verdict is verdict:
                key = (result.cell.task, result.cell.pruner, result.error or "")
                reasons.setdefault(key, []).append(result)
        for (_, _, reason), group in reasons.items():
            more = f" and {len(group) - 1} more of its levels" if len(group) > 1 else ""
            text = Text(verdict.value.upper(), STYLES[verdict.value])
            console.print(text.append(f" {group[0].cell.id}{more}: {reason}", ""))
            if debug and group[0].output:
                console.print(Text(group[0].output.rstrip(), "dim"))


def summary(console: Console, session: Session, results: Sequence[CellResult], seconds: float) -> None:
    """`12 passed, 3 failed, 2 not run in 41.2 s`, like pytest's."""
    counts = Counter(result.verdict for result in results)
    names = {Verdict.PASS: "passed", Verdict.FAIL: "failed", Verdict.NOT_RUN: "not run", Verdict.ERROR: "error"}
    parts = [Text(f"{counts[v]} {names.get(v, v.value)}", STYLES[v.value]) for v in Verdict if counts[v]]
    line = Text(", ").join(parts)
    cached = sum(result.cached for result in results)
    line.append(f" in {seconds:.1f} s" + (f" ({cached} from the store)" if cached else ""))
    if session.interrupted:
        line.append(" - interrupted; the same command goes on from here", "bold yellow")
    console.print(line)
