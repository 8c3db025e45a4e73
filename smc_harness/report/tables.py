"""The closing tables of the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from rich import box
from rich.console import Console
from rich.measure import Measurement as Width
from rich.table import Table
from rich.text import Text

from smc_harness.cells import AGREEMENT, CellResult, Measurement, Verdict, counted, show_level, visible
from smc_harness.conversation.options import PRECISIONS
from smc_harness.report.terminal import STYLES
from smc_harness.verdict.controls import compare
from smc_harness.verdict.first_fail import FirstFail, OverSeeds, first_fails, over_seeds
from smc_harness.verdict.search import Search, saved

_NO_LIMIT = 100_000
_AGAINST_OWN = {0: ("=", "fails at the same level as"), -1: ("<", "fails at a lower level than")}
_FINDINGS = 3
_PHASES = ("before", "during", "after", "iterative")
_Column = TypeVar("_Column")


class DenseModel(Protocol):
    """The dense model of one (task, seed)."""

    @property
    def unit(self) -> str: ...
    @property
    def measurement(self) -> Measurement | None: ...


class Run(Protocol):
    """What the tables need beside results: a session has it, and so has a saved run. denses: by (task, seed). search:
    how levels were chosen.
    """

    @property
    def denses(self) -> Mapping[tuple[str, int], DenseModel]: ...
    @property
    def interrupted(self) -> bool: ...
    @property
    def search(self) -> Search: ...


def closing(
    console: Console,
    run: Run,
    results: Sequence[CellResult],
    seconds: float | None = None,
    loud: int = 0,
    debug: bool = False,
    durations: int | None = None,
) -> None:
    """The end of a run. seconds: how long it took. loud: -v less -q; with -v much was said cell by cell. durations: how
    many of the slowest cells are named.
    """
    if loud <= 0 or debug:
        problems(console, results, debug)
    if loud > -2:
        first_fail(console, run, results)
    if loud == 0:
        reasons(console, results)
    if durations is not None:
        slowest(console, results, durations)
    summary(console, run, results, seconds)


def interval(found: FirstFail, doubt: bool = True) -> str:
    """`(0.488, 0.59]`, `none up to 0.893`, or why there is none.

    A non-monotone curve is marked `~`. doubt: mark by `?` what chance alone may have moved.
    """
    mark = " ?" * (doubt and found.doubtful)
    if found.first_fail is not None:
        low = "-" if found.last_pass is None else show_level(found.last_pass)
        return f"({low}, {show_level(found.first_fail)}]{'' if found.monotone else ' ~'}{mark}"
    if found.highest is not None:
        unsettled = f" ({found.unsettled.value} elsewhere)" if found.unsettled else ""
        return f"none up to {show_level(found.highest)}{mark}{unsettled}"
    return found.unsettled.value if found.unsettled else "not run"


def spread(found: OverSeeds) -> str:
    """`0.36 to 0.59, 3 seeds`: where the first of them fails, and the last."""
    ends = [item.first_fail for item in (found.lowest, found.highest)]
    low, high = ("none" if end is None else show_level(end) for end in ends)
    return f"{low if low == high else f'{low} to {high}'}, {counted(len(found.seeds), 'seed')}"


def _mark(outcome: int | None) -> str:
    return f" {_AGAINST_OWN[outcome][0]}" if outcome in _AGAINST_OWN else ""


def _style(found: FirstFail | None) -> str:
    if found is None:
        return "dim"
    if found.first_fail is None and found.highest is None:
        return STYLES["error"] if found.unsettled is Verdict.ERROR else "dim"
    return STYLES["pass"] if found.first_fail is None else STYLES["fail"] if found.last_pass is None else ""


def first_fail(console: Console, run: Run, results: Sequence[CellResult]) -> None:
    """Pruners x tasks: (last pass, first fail], with the dense score above; over seeds, the median and the range.

    Nothing is cut: tasks that do not fit beside the others get a table below, and a cell that is too wide is folded.
    """
    found = first_fails(results)
    if not found:
        return
    console.print(Text("\nfirst fail: (last pass, first fail]", "italic"))
    tasks = list(dict.fromkeys(item.task for item in found))
    for table in fitting(console, tasks, lambda shown: _table(run, results, shown)):
        console.print(table)
    for line in explained(run, found):
        console.print(line, style="dim", markup=False)


def explained(run: Run, found: Sequence[FirstFail]) -> list[str]:
    """What the marks in a table of first fails mean, and on what weights were selected, a line each."""
    lines = [f"{visible(task)}: the weights were selected on {how}" for task, how in _selections(run).items()]
    lines += _agreements(run)
    over = over_seeds(found)
    if over:
        lines.append("of several seeds: the median one; where the first of them fails, and the last")
    summed_up = {(item.task, item.pruner, seed) for item in over for seed in item.seeds}
    if any(item.doubtful for item in found if (item.task, item.pruner, item.seed) not in summed_up):
        lines.append("? chance alone may have put an end of this interval where it is; --json has a confidence set")
    against = {item.against_own_ratios for item in compare(found)}
    for outcome, (mark, words) in _AGAINST_OWN.items():
        if outcome in against:
            lines.append(f"{mark} {words} random pruning with its own ratio in every tensor (~own-ratios)")
    if any(not item.monotone for item in found):
        lines.append("~ a level above the first fail passed: the curve is not monotone")
    return lines


def fitting(
    console: Console, columns: Sequence[_Column], build: Callable[[Sequence[_Column]], Table]
) -> Iterator[Table]:
    """Tables one below another, each with as many of the columns as the screen takes, and at least one."""
    shown: list[_Column] = []
    for column in columns:
        width = Width.get(console, console.options.update(max_width=_NO_LIMIT), build([*shown, column])).maximum
        if shown and width > console.width:
            yield build(shown)
            shown = []
        shown.append(column)
    yield build(shown)


def by_phase(results: Iterable[CellResult]) -> dict[str, str]:
    """The pruners' phases, in the order of the tables; controls stand behind their pruner."""
    phases = {result.cell.pruner: result.cell.phase for result in results}
    order = sorted(phases, key=lambda name: ((*_PHASES, phases[name]).index(phases[name]), name.partition("~")))
    return {name: phases[name] for name in order}


@dataclass(frozen=True)
class Told:
    """A line of an entry of the first-fail table. found: what it tells of; None for the range over seeds."""

    text: str
    found: FirstFail | None


def told(results: Sequence[CellResult]) -> dict[tuple[str, str], list[Told]]:
    """By (pruner, task): of each trajectory its interval; of seeds judged one by one, the median and the range."""
    found = first_fails(results)
    marks = {(item.pruner, item.task, item.seed): _mark(item.against_own_ratios) for item in compare(found)}
    over = {(item.pruner, item.task): item for item in over_seeds(found)}
    lines: dict[tuple[str, str], list[Told]] = {}
    for item in found:
        mine, median = lines.setdefault((item.pruner, item.task), []), over.get((item.pruner, item.task))
        if median is None or item.seed not in median.seeds:
            mine.append(Told(interval(item) + marks.get((item.pruner, item.task, item.seed), ""), item))
    for (pruner, task), seeds in over.items():
        mark = marks.get((pruner, task, seeds.median.seed), "")
        lines[pruner, task] += [
            Told(interval(seeds.median, doubt=False) + mark, seeds.median),
            Told(spread(seeds), None),
        ]
    return lines


def _table(run: Run, results: Sequence[CellResult], tasks: Sequence[str]) -> Table:
    lines = told(results)
    table = Table(box=box.SIMPLE, pad_edge=False)
    table.add_column("pruner", overflow="fold")
    table.add_column("phase", overflow="fold", style="dim")
    for task in tasks:
        table.add_column(Text(visible(task)), overflow="fold")
    table.add_row("dense", "", *[_dense(run, results, task) for task in tasks], end_section=True)
    for pruner, phase in by_phase(results).items():
        row = []
        for task in tasks:
            shown = [Text(line.text, _style(line.found)) for line in lines.get((pruner, task), [])]
            row.append(Text("\n").join(shown))
        table.add_row(Text(visible(pruner)), phase, *row)
    return table


def _selections(run: Run) -> dict[str, str]:
    """Of tasks that keep the best epoch: by which examples it was chosen."""
    words = {"test": "the scored examples", "valid": "examples held out from training"}
    found = {}
    for (task, _), dense in run.denses.items():
        if dense.measurement is not None and (how := dense.measurement.logged.get("selected_on")) in words:
            found[task] = words[how]
    return found


def _agreements(run: Run) -> list[str]:
    """Of tasks that were evaluated in another precision: what that made of the dense outcomes, of the worst seed."""
    worst: dict[str, tuple[float, str]] = {}
    for (task, _), dense in run.denses.items():
        if dense.measurement is None or not dense.measurement.agreement:
            continue
        value = dense.measurement.value
        low, share, difference = (dense.measurement.agreement[name] for name in AGREEMENT)
        usual = next(precision for precision in PRECISIONS if precision != low)
        line = (
            f"{visible(task)}: evaluated in {low}, dense {score(value, dense.unit)}; in {usual} "
            f"{score(value - difference, dense.unit)}, {100 * share:.2f} % of the outcomes are the same"
        )
        worst[task] = min(worst.get(task, (share, line)), (share, line))
    return [line for _, line in worst.values()]


def _dense(run: Run, results: Sequence[CellResult], task: str) -> Text:
    return Text("\n").join(Text(line, "bold") for line in dense_scores(run, results, task))


def dense_scores(run: Run, results: Sequence[CellResult], task: str) -> list[str]:
    """One for each seed, or for each pool of folds the mean over their examples."""
    pools = dict.fromkeys(result.cell.trajectory[2] for result in results if result.cell.task == task)
    denses = [[run.denses[task, seed] for seed in seeds if (task, seed) in run.denses] for seeds in pools]
    return [_dense_score(pool) for pool in denses]


def _dense_score(pool: Sequence[DenseModel]) -> str:
    found = [dense.measurement for dense in pool if dense.measurement is not None]
    if not found:
        return "-"
    value = sum(measured.value * measured.n for measured in found) / sum(measured.n for measured in found)
    seeds = f" ({counted(len(found), 'seed')})" if len(pool) > 1 else ""
    return score(value, pool[0].unit) + seeds


def score(value: float, unit: str) -> str:
    """`84.38 %` of a fraction, `17.05 BLEU`."""
    return f"{100 * value:.2f} %" if unit == "fraction" else f"{value:.2f} {unit}".strip()


def reasons(console: Console, results: Sequence[CellResult]) -> None:
    """What `findings` tells."""
    lines = findings(results)
    if lines:
        console.print(Text("what mask and predictions tell", "italic"))
    for name, text in lines:
        console.print(Text(name, "").append(f" {text}", "dim"))
    if lines:
        console.print()


def findings(results: Sequence[CellResult]) -> list[tuple[str, str]]:
    """What the diagnosis says of each trajectory's first failed cell, and of any whose sparsity was not asked for: by
    the cell's id.
    """
    told: set[tuple[str, str, tuple[int, ...]]] = set()
    lines = []
    for result in sorted(results, key=lambda result: result.cell.level):
        cell = result.cell
        found = result.diagnosis if result.verdict is Verdict.FAIL else [result.missed] if result.missed else []
        if found and cell.trajectory not in told:
            lines.append((cell.id, short(found)))
        if found or result.verdict is Verdict.FAIL:
            told.add(cell.trajectory)
    return sorted(lines)


def short(findings: Sequence[str]) -> str:
    """The first findings on one line, and how many more there are; `--json` has them all."""
    more = f"; and {len(findings) - _FINDINGS} more" if len(findings) > _FINDINGS else ""
    return visible("; ".join(findings[:_FINDINGS])) + more


def problems(console: Console, results: Sequence[CellResult], debug: bool) -> None:
    """What `grouped` tells, with the output of the plugins under --debug."""
    for text, result in grouped(results):
        console.print(Text(result.verdict.value.upper(), STYLES[result.verdict.value]).append(f" {text}", ""))
        if debug and result.output:
            console.print(Text(result.output.rstrip(), "dim"))


def grouped(results: Sequence[CellResult]) -> list[tuple[str, CellResult]]:
    """Each distinct error and skip reason once, with the number of cells that it cost, and the first of them."""
    found = []
    for verdict in (Verdict.ERROR, Verdict.SKIPPED):
        for group in by_reason(results, verdict):
            found.append((f"{together(group)}: {visible(group[0].error or '')}", group[0]))
    return found


def by_reason(results: Iterable[CellResult], verdict: Verdict) -> list[list[CellResult]]:
    """The cells of a verdict, those of one task and pruner with one reason together."""
    groups: dict[tuple[str, str, str], list[CellResult]] = {}
    for result in results:
        if result.verdict is verdict:
            groups.setdefault((result.cell.task, result.cell.pruner, result.error or ""), []).append(result)
    return list(groups.values())


def together(group: Sequence[CellResult]) -> str:
    """`toy::snip[0.2,seed0] and 2 more of its levels`."""
    return group[0].cell.id + (f" and {len(group) - 1} more of its levels" if len(group) > 1 else "")


def slowest(console: Console, results: Sequence[CellResult], number: int) -> None:
    """The cells that took longest in this run, with the seconds that each did not share with others."""
    computed = [(found.seconds, r.cell.id) for r in results if (found := r.measurement) is not None and not r.cached]
    shown = sorted(computed, key=lambda item: -item[0])[:number]
    heading = f"slowest {len(shown)} of {counted(len(computed), 'cell')} that this run computed"
    console.print(Text(f"\n{heading}" if shown else "\nthis run computed no cell", "italic"))
    for seconds, name in shown:
        console.print(Text(f"{seconds:9.2f} s  {name}"))
    console.print()


def summary(console: Console, run: Run, results: Sequence[CellResult], seconds: float | None) -> None:
    """`12 passed, 3 failed, 2 not run in 41.2 s`, like pytest's."""
    line = Text(", ").join(Text(words, STYLES[verdict.value]) for verdict, words in counts(results))
    cached = sum(result.cached for result in results)
    line.append("" if seconds is None else f" in {seconds:.1f} s")
    line.append(f" ({cached} from the store)" if cached else "")
    spared = saved(run.search, results)
    asked = sum(not result.cell.added for result in results)
    line.append(f"; the search saved {spared} of {counted(asked, 'cell')}" if spared else "", "dim")
    if run.interrupted:
        line.append(" - interrupted; the same command goes on from here", "bold yellow")
    console.print(line)


def counts(results: Iterable[CellResult]) -> list[tuple[Verdict, str]]:
    """`12 passed`, `3 failed`: how many cells have which verdict."""
    found = Counter(result.verdict for result in results)
    names = {Verdict.PASS: "passed", Verdict.FAIL: "failed", Verdict.NOT_RUN: "not run", Verdict.ERROR: "error"}
    return [(verdict, f"{found[verdict]} {names.get(verdict, verdict.value)}") for verdict in Verdict if found[verdict]]
