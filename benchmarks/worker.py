"""What one more local worker costs: how long until it says its first word on a job, and how much memory is its own.

    python -m benchmarks.worker [--rounds 9] [--task commonsense-mini] [--json FILE]

Two workers are given a job each, magnitude-after on a mini task with seeds of their own; the second one is the one
more. Its memory is read after some steps of its first training, when all that it needs is there: what no other process
shares with it (Linux counts that), and its share of what others have, too. Claimed: 0.25 s, and 100 MiB of its own.
Beside it, what a process of its own takes to import torch, which is how a pool that spawns begins.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.measure import Ratio, Result, arguments
from smc_harness.conversation.options import RunOptions
from smc_harness.discovery.catalogue import discover
from smc_harness.discovery.loading import Plugin, load
from smc_harness.execution import shared
from smc_harness.execution.jobs import Job, PluginRef, Progress
from smc_harness.execution.processes import ProcessExecutor

SECONDS, MEBIBYTES = 0.25, 100
STEPS = 50
"""Of the first training, after which memory is read."""


def plugins(task: str) -> tuple[Plugin, Plugin]:
    installed = discover().installed
    return load(installed["task"][task]), load(installed["pruner"]["magnitude-after"])


def one_more(task: Plugin, pruner: Plugin, store: Path) -> tuple[float, float, float, float]:
    """Seconds until the second worker's first event, and until it trains; its own MiB, and its share of all."""
    executor = ProcessExecutor(2, store, shared=shared.names([task, pruner]))
    try:
        jobs = [
            Job(PluginRef.of(task), PluginRef.of(pruner), (), RunOptions(), seed, str(store), levels=(0.5,))
            for seed in range(2)
        ]
        executor.submit(jobs[0])
        events = executor.events()
        next(events)  # the server has imported what is shared
        start = time.perf_counter()
        executor.submit(jobs[1])
        first = trains = 0.0
        for job, event in events:
            if job is jobs[1]:
                first = first or time.perf_counter() - start
                if isinstance(event, Progress):
                    trains = trains or time.perf_counter() - start
                    if event.step >= STEPS:
                        break
        pid = next(worker.process.pid for worker in executor.busy if worker.job is jobs[1])
        return first, trains, *memory(pid or 0)
    finally:
        executor.close()


def memory(pid: int) -> tuple[float, float]:
    """MiB that are the process's own, and its proportional share of all that it sees."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    kibibytes = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
    return (kibibytes["Private_Clean"] + kibibytes["Private_Dirty"]) / 1024, kibibytes["Pss"] / 1024


def main() -> int:
    parser = arguments(__doc__, rounds=9)
    parser.add_argument("--task", default="commonsense-mini", help="a task that needs no data")
    options = parser.parse_args()
    result = Result(f"One more worker, on {options.task}", "python -m benchmarks.worker")
    task, pruner = plugins(options.task)
    rounds, imports = [], []
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory() as folder:
            rounds.append(one_more(task, pruner, Path(folder)))
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import torch"], check=True)
        imports.append(time.perf_counter() - start)
    seconds, trains, own, share = (tuple(values) for values in zip(*rounds, strict=True))
    result.ratios = [
        Ratio("until its first event", "a second", seconds, SECONDS),
        Ratio("until it trains", "a second", trains),
        Ratio("its own memory", "a MiB", own, MEBIBYTES),
        Ratio("its share of all memory", "a MiB", share),
        Ratio("importing torch in a process of its own", "a second", tuple(imports)),
    ]
    return result.finish(options.json)


if __name__ == "__main__":
    sys.exit(main())
