"""What a study of millions of cells asks of the driver and of the store, with nothing to compute.

    python -m benchmarks.capacity [--pruners 1000] [--tasks 100] [--seeds 5] [--report] [--json FILE]

Everything is real but the work: plugins are collected, cells are built and planned, the driver hands out every dense
training and every trajectory, judges what comes back, and has it on the disk before it tells of it. In place of workers
stands an executor that gives numbers at once, under the keys that workers compute. With --report the session keeps its
results, as it does when it is asked for a report, and the closing report and the JSON file are written.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy

from smc_harness.cells import CellResult, Measurement
from smc_harness.cli.run import configured
from smc_harness.discovery.loading import Plugin
from smc_harness.execution.jobs import Event, Finished, Job, Measured, Started
from smc_harness.lifecycle import keys
from smc_harness.session import Session, begin, collect, drive, end, opened, plan
from smc_harness.store.artifacts import pack

PLUGINS = """\
from smc_harness import hookimpl

class Task:
    metric, unit, chance = "accuracy", "fraction", 0.5

    def __init__(self, number):
        self.name = f"task-{number:03d}"

HOOKS

class Pruner:
    phase = "after"

    def __init__(self, number):
        self.name = f"pruner-{number:04d}"

    @hookimpl
    def compute_scores(self, model, context):
        raise NotImplementedError

plugins = (*(Task(number) for number in range(TASKS)), *(Pruner(number) for number in range(PRUNERS)))
"""


HOOKS = "".join(
    f"""\
    @hookimpl
    def {name}(self, {arguments}context):
        raise NotImplementedError

"""
    for name, arguments in (
        ("prepare_data", ""),
        ("prepare_model", ""),
        ("recipe", ""),
        ("collate", "examples, "),
        ("compute_loss", "model, batch, "),
        ("evaluate", "model, split, "),
    )
)


EXAMPLES = 100
"""Whose outcomes are kept with each cell."""
SLOTS = 100
"""Jobs at once."""


class Numbers:
    """An executor that has every number at once. A pruner fails at the highest level."""

    def __init__(self, slots: int, tasks: dict[str, Plugin]) -> None:
        self.slots = slots
        self.tasks = tasks
        self.jobs: deque[tuple[Job, Iterator[Event]]] = deque()

    @property
    def more(self) -> bool:
        return bool(self.jobs)

    def submit(self, job: Job) -> None:
        self.jobs.append((job, self._play(job)))

    def events(self, patience: float | None = None) -> Iterator[tuple[Job, Event]]:
        while self.jobs:
            job, events = self.jobs[0]
            event = next(events)
            if isinstance(event, Finished):
                self.jobs.popleft()
            yield job, event

    def _play(self, job: Job) -> Iterator[Event]:
        levels = (None,) if job.pruner is None else job.levels
        task = self.tasks[job.task.name]
        for level, chain in zip(levels, job.chains, strict=True):
            yield Started(level)
            key = keys.cell(chain[-1], task, job.options)
            value = 0.5 if level is not None and level == job.levels[-1] else 0.9
            share = level or 0.0
            densities = {f"layers.{number}.weight": 1.0 - share for number in range(6)}
            found = Measurement(value, EXAMPLES, 1.0, 100, share, share, densities, outcomes=key)
            yield Measured(level, found, self._outcomes(key, value))
        yield Finished()

    def _outcomes(self, key: str, value: float) -> bytes:
        """As a worker hands them over, without its tensors."""
        values = {"values": (numpy.arange(EXAMPLES) < value * EXAMPLES).astype(numpy.float32)}
        return pack(key, values)

    def close(self) -> None:
        self.jobs.clear()


class Phases:
    """Seconds, and bytes of memory in the end and at most, of one phase after another."""

    def __init__(self) -> None:
        self.found: dict[str, dict[str, float]] = {}
        self._since = time.perf_counter()

    def end(self, name: str) -> None:
        now, held = time.perf_counter(), memory()
        self.found[name] = {"seconds": now - self._since, **held}
        shown = ", ".join(f"{what} {size / 2**30:.2f} GiB" for what, size in held.items())
        print(f"{name:10} {now - self._since:8.1f} s, {shown}", flush=True)
        self._since = time.perf_counter()


def memory() -> dict[str, int]:
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {what: int(lines[name].split()[0]) * 1024 for what, name in (("now", "VmRSS"), ("at most", "VmHWM"))}


class Tally(dict[str, CellResult]):
    """Verdicts are counted, and results are the store's."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __setitem__(self, name: str, result: CellResult) -> None:
        self.counts[result.verdict] += 1


def simulate(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    text = PLUGINS
    for word, filled in (("HOOKS", HOOKS.rstrip()), ("TASKS", str(options.tasks)), ("PRUNERS", str(options.pruners))):
        text = text.replace(word, filled)
    (folder / "plugins.py").write_text(text)
    words = ["--collect", str(folder / "plugins.py"), "--seeds", str(options.seeds), "--search", "grid", "-q"]
    phases, tally = Phases(), Tally()
    config = configured([*words, "--store", str(folder / "store"), "--json", str(folder / "report.json")])
    session = Session(config, collect(config), folder / "store", results={} if options.report else tally)
    cells = len(session.collection.cells)
    phases.end("collect")
    tracks = plan(session)
    phases.end("plan")
    with opened(session) as results:
        begin(session, results, words)
        drive(session, tracks, results, lambda jobs: Numbers(SLOTS, session.collection.tasks))
        phases.end("drive")
        written = results.count(session.number)
        size = sum(file.stat().st_size for file in (folder / "store").rglob("*") if file.is_file())
        if options.report:
            tally.counts.update(result.verdict for result in session.results.values())
            end(session, results)
            phases.end("report")
    if not cells == written == tally.counts.total() or set(tally.counts) != {"pass", "fail"}:
        sys.exit(f"{cells} cells, {written} in the store, of which {dict(tally.counts)}")
    print(f"{cells:,} cells in the store, {size / 2**30:.2f} GiB, {size / cells:.0f} bytes a cell")
    return {"cells": cells, "store": size, "phases": phases.found}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("pruners", 1000), ("tasks", 100), ("seeds", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--report", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=".") as name:
        found = simulate(Path(name).resolve(), options)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
