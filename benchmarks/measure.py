"""Side by side: ours and others take turns in one run, and what is told are ratios, round by round.

A ratio of two times that were taken one after the other holds where the machine's speed drifts; a time does not. A
benchmark is a module with `main`; it checks that the results are equal before it tells a time, prints a table, writes
JSON where `--json` asks for it, and ends with 1 if a claim does not hold.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import gc
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

_CHILD_SUBREAPER = 36
"""PR_SET_CHILD_SUBREAPER of Linux."""


@dataclass(frozen=True)
class Ratio:
    """One line of a result: `what`, in each round, as a multiple of `of`.

    limit: the claim, `at least` or `at most` of which the median must be; None: told, but not claimed.
    """

    what: str
    of: str
    values: tuple[float, ...]
    limit: float | None = None
    at_least: bool = False

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def holds(self) -> bool:
        return self.limit is None or (self.median >= self.limit if self.at_least else self.median <= self.limit)

    @property
    def claim(self) -> str:
        return "" if self.limit is None else f"{'≥' if self.at_least else '≤'} {self.limit:g}"


@dataclass
class Result:
    """What a benchmark found. checked: what is equal on both sides. figures: {what: value with its unit}."""

    title: str
    command: str
    ratios: list[Ratio] = field(default_factory=list)
    checked: list[str] = field(default_factory=list)
    figures: dict[str, str] = field(default_factory=dict)

    def add(
        self,
        what: str,
        times: Mapping[str, Sequence[float]],
        over: str,
        under: str,
        *,
        at_most: float | None = None,
        at_least: float | None = None,
        scale: float = 1.0,
    ) -> None:
        """The ratio of two of the times, round by round. scale: a factor, where one side did only a part."""
        values = tuple(scale * a / b for a, b in zip(times[over], times[under], strict=True))
        limit = at_most if at_least is None else at_least
        self.ratios.append(Ratio(what, under, values, limit, at_least is not None))

    def finish(self, target: Path | None) -> int:
        """Print it, write it where it is wanted. Returns the exit code: 1 if a claim does not hold."""
        console = Console(width=140)
        table = Table("", "of", "min", "median", "max", "claim", "holds", title=self.title)
        for ratio in self.ratios:
            numbers = [f"{value:.3g}" for value in (min(ratio.values), ratio.median, max(ratio.values))]
            holds = "" if ratio.limit is None else "yes" if ratio.holds else "NO"
            table.add_row(ratio.what, ratio.of, *numbers, ratio.claim, holds)
        console.print(table)
        for line in [f"equal: {checked}" for checked in self.checked] + [f"{k}: {v}" for k, v in self.figures.items()]:
            console.print(line)
        if target is not None:
            record = asdict(self) | {"machine": machine()}
            target.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        return 0 if all(ratio.holds for ratio in self.ratios) else 1


def arguments(description: str | None, rounds: int) -> argparse.ArgumentParser:
    """A parser with what every benchmark can be told."""
    parser = argparse.ArgumentParser(
        description=(description or "").partition("\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=rounds, help="how often each side is timed")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall", help="cpu: for a machine that is not quiet")
    parser.add_argument("--json", type=Path, help="where to write what was found")
    return parser


def in_turn(
    actions: Mapping[str, Callable[[], object]], rounds: int, clock: str = "wall", warm_up: int = 1
) -> dict[str, list[float]]:
    """Seconds of each action in each round, all actions of a round one after the other."""
    now = time.perf_counter if clock == "wall" else time.process_time
    times: dict[str, list[float]] = {name: [] for name in actions}
    for turn in range(-warm_up, rounds):
        for name, action in actions.items():
            gc.collect()
            start = now()
            action()
            if turn >= 0:
                times[name].append(now() - start)
    return times


def commands_in_turn(
    commands: Mapping[str, Sequence[str]], rounds: int, clock: str = "wall", warm_up: int = 1, **options: Any
) -> dict[str, list[float]]:
    """Seconds of each command, all its processes together. Raises CalledProcessError if one fails.

    options: of `subprocess.run`. Modules are compiled by the first round, as they are where a package is installed.
    """
    environment = options.pop("env", os.environ)
    options["env"] = {name: value for name, value in environment.items() if name != "PYTHONDONTWRITEBYTECODE"}
    adopt_orphans()

    def cpu() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    now = time.perf_counter if clock == "wall" else cpu
    times: dict[str, list[float]] = {name: [] for name in commands}
    for turn in range(-warm_up, rounds):
        for name, command in commands.items():
            start = now()
            subprocess.run(command, check=True, capture_output=True, **options)
            ended = now()
            if clock == "cpu":
                wait_for_orphans()
                ended = now()
            if turn >= 0:
                times[name].append(ended - start)
    return times


def adopt_orphans() -> None:
    """Become the parent of processes whose own one ends: what they used is counted when they were waited for."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_CHILD_SUBREAPER, 1)


def wait_for_orphans() -> None:
    """Until no process is left that was started from here."""
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()


def machine() -> dict[str, str]:
    """Where it was measured, so that a figure can be read."""
    names = [line for line in _cpu_facts() if line.startswith("model name")]
    return {
        "processor": names[0].partition(":")[2].strip() if names else platform.processor(),
        "cores": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "numpy")},
    }


def _cpu_facts() -> list[str]:
    facts = Path("/proc/cpuinfo")
    return facts.read_text(encoding="utf-8").splitlines() if facts.exists() else []
