"""A run beside its baseline, in lines: nothing where there is nothing to say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.text import Text

from smc_harness.baseline.changes import Change, Comparison, LevelChange, Moved, PairChange
from smc_harness.cells import counted, show_level, visible
from smc_harness.report.tables import interval, score

STYLES = {Change.REGRESSION: "bold red", Change.IMPROVEMENT: "green", Change.UNKNOWN: "yellow"}
_NAMED = 3
"""(task, pruner) named of those that only one of the two has; `--json` has them all."""


def show(console: Console, found: Comparison, updating: bool = False, loud: int = 0) -> None:
    """updating: whether the baseline is written anew. loud: -v less -q; below -1 regressions alone are told."""
    lines = list(told(found, updating)) if loud > -2 else [line(pair) for pair in found.of(Change.REGRESSION)]
    if lines:
        console.print(Text(f"\nbeside {visible(found.baseline)}", "italic"))
    for one in lines:
        console.print(one)


def summary(console: Console, found: Comparison) -> None:
    """`4 compared: 1 regression, 2 unchanged`, of (task, pruner)."""
    counts = [(change, len(found.of(change))) for change in Change]
    parts = [Text(f"{count} {change.value}", STYLES.get(change, "")) for change, count in counts if count]
    console.print(Text(f"{len(found.pairs)} compared").append(": " if parts else "").append(Text(", ").join(parts)))


def told(found: Comparison, updating: bool) -> Iterator[Text]:
    if not found.there:
        if not updating:
            yield Text("not there yet; --update-baseline writes it", "yellow")
        return
    for item in found.drift:
        yield Text(f"changed: {item}", "yellow")
    for names, where in ((found.gone, "in the baseline alone"), (found.fresh, "in this run alone")):
        if names:
            more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
            yield Text(f"{where}: {', '.join(names[:_NAMED])}{more}", "yellow")
    for change in STYLES:
        yield from (line(pair) for pair in found.of(change))
    for pair in found.pairs:
        if pair.moved and pair.change not in STYLES:
            yield Text(f"{pair.id} {_moves(pair.moved)}, and no level is worse or better beyond tolerance and chance")


def line(pair: PairChange) -> Text:
    """`REGRESSION toy::snip at 0.36: 0.81 -> 0.76 (worse by 0.041 to 0.059 of ...), first fail ... -> ...`."""
    text = Text.assemble((pair.change.value.upper(), STYLES[pair.change]), f" {pair.id}")
    levels = pair.at(pair.change)
    if not levels:
        return text.append(": no level was measured in both")
    first, others = levels[0], [show_level(level.level) for level in levels[1:]]
    more = f", and at {', '.join(others)}" if others else ""
    was, now = (score(value, pair.unit) for value in (first.was, first.now))
    text.append(f" at {show_level(first.level)}: {was} -> {now}")
    moved = f", {_moves(pair.moved)}" if pair.moved else ""
    return text.append(f" ({_support(pair, first)}){more}{moved}")


def _support(pair: PairChange, level: LevelChange) -> str:
    if level.worse is None:
        return "what chance could do is not known: the outcomes are not in this --store"
    low, high = level.worse if pair.change is Change.REGRESSION else (-level.worse[1], -level.worse[0])
    reach = f"{100 * low:.2f} to {100 * high:.2f} points" if pair.unit == "fraction" else f"{low:.3g} to {high:.3g}"
    how = "paired" if level.paired else "by their intervals"
    seeds = f", {counted(len(level.seeds), 'seed')}" if len(level.seeds) > 1 else ""
    word = "worse" if pair.change is Change.REGRESSION else "better"
    return f"{word} by {reach}; {counted(level.n, 'example')}{seeds}, {how}"


def _moves(moved: Sequence[Moved]) -> str:
    return ", ".join(
        f"first fail {interval(one.was, doubt=False)} -> {interval(one.now, doubt=False)}" for one in moved
    )
