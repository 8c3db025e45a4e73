"""The mini suite, four tasks times the paper's eleven pruners until each fails: one worker, two, and a plain script.

    python -m benchmarks.suite [--rounds 1] [--without-plain]

With one worker and with two, every value is the same to the bit, or nothing is told. The plain script (`plain.py`)
runs one process and does each cell by itself, trained, pruned with `torch.nn.utils.prune`, retrained and scored with
the same recipe; it does one level of each task and pruner, 44 cells, and a cell of it is set against a cell of ours.
About an hour on two quiet cores.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.measure import Result, arguments

LEVEL = 0.488
TASKS = ("arithmetic-mini", "commonsense-mini", "protein-mini", "translation-mini")


def main() -> int:
    parser = arguments(__doc__, rounds=1)
    parser.add_argument("--without-plain", action="store_true", help="leave the plain script out")
    options = parser.parse_args()
    result = Result("The mini suite", "python -m benchmarks.suite")
    times: dict[str, list[float]] = {"-n 1": [], "-n 2": [], "a cell of ours": [], "a plain cell": []}
    for _ in range(options.rounds):
        one, two = ours(1), ours(2)
        differ = [(a, b) for a, b in zip(values(one[1]), values(two[1]), strict=True) if a != b]
        assert not differ, differ
        times["-n 1"].append(one[0])
        times["-n 2"].append(two[0])
        cells = sum(cell["verdict"] in ("pass", "fail") for cell in two[1]["cells"])
        times["a cell of ours"].append(two[0] / cells)
        result.figures["cells of ours"] = str(cells)
        if not options.without_plain:
            seconds, scores = plain()
            times["a plain cell"].append(seconds / len(scores))
            result.figures["plain cells"] = str(len(scores))
            result.figures["mean difference of their scores, relative to dense"] = f"{difference(two[1], scores):+.3f}"
    result.checked.append("every value with one worker and with two, to the bit")
    result.add("two workers against one", times, "-n 1", "-n 2", at_least=1.8)
    if not options.without_plain:
        result.add(
            "a plain script's cell against ours with -n 2", times, "a plain cell", "a cell of ours", at_least=3.0
        )
    result.figures["seconds with -n 1, with -n 2"] = f"{times['-n 1'][-1]:.0f}, {times['-n 2'][-1]:.0f}"
    return result.finish(options.json)


def ours(workers: int) -> tuple[float, dict[str, Any]]:
    """Seconds, and the report."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        words = ["--tasks", "*-mini", "--store", str(Path(folder, "store")), "--json", str(report)]
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "smc_harness", *words, "-n", str(workers), "-q"], check=False)
        seconds = time.perf_counter() - began
        found: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
        return seconds, found


def values(report: dict[str, Any]) -> list[tuple[Any, ...]]:
    kept = ("id", "verdict", "value", "realised", "dense", "outcomes")
    return sorted(tuple(cell[name] for name in kept) for cell in report["cells"])


def plain() -> tuple[float, dict[tuple[str, str], float]]:
    """Seconds, and the scores by task and pruner."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "scores.json")
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "benchmarks.plain", *TASKS, "--level", str(LEVEL), "--json", str(target)], check=True
        )
        seconds = time.perf_counter() - began
        return seconds, {(task, pruner): score for task, pruner, score in json.loads(target.read_text("utf-8"))}


def difference(report: dict[str, Any], scores: dict[tuple[str, str], float]) -> float:
    """The mean of the script's scores less ours, where both have one."""
    found = {
        (cell["task"], cell["pruner"]): cell for cell in report["cells"] if cell["level"] == LEVEL and cell["value"]
    }
    drops = [(scores[key] - cell["value"]) / cell["dense"] for key, cell in found.items()]
    return sum(drops) / len(drops)


if __name__ == "__main__":
    raise SystemExit(main())
