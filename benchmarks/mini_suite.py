"""Do the mini tasks measure something? Checks what we claim of them, and prints the figures.

    python benchmarks/mini_suite.py [--store DIR] [--seeds 20]

Four claims, each on every mini task:

1. at least 2 000 scored examples, and a dense model far above chance;
2. over three seeds, magnitude pruning after training beats random pruning in the mean over the paper's levels by more
   than three standard errors, paired over examples;
3. some pruner fails at 0.36 or below, and at 0.893 some pruner scores less than half of dense;
4. a dense model that is retrained as if pruned at level 0 passes in at least 19 of 20 seeds.

Exits with 1 if a claim does not hold. About ten minutes on two cores; a killed run goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy
from rich.console import Console
from rich.table import Table

from smc_harness.store.artifacts import Artifacts

DENSE_AT_LEAST: dict[str, Callable[[dict[str, Any]], float]] = {
    "commonsense-mini": lambda task: (1 + 2 * task["chance"]) / 3,
    "protein-mini": lambda task: (1 + 2 * task["chance"]) / 3,
    "arithmetic-mini": lambda task: 0.6,
    "translation-mini": lambda task: 40.0,
}
RESAMPLES = 1000


def run(store: Path, *arguments: str) -> dict[str, Any]:
    """`smc-harness` with these arguments on the four mini tasks; what it wrote as JSON."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "report.json")
        words = [sys.executable, "-m", "smc_harness", "--store", str(store), "--tasks", "*-mini", "--json", str(target)]
        done = subprocess.run([*words, *arguments, "-q"], check=False)
        if done.returncode:
            sys.exit(f"smc-harness ended with {done.returncode}")
        report: dict[str, Any] = json.loads(target.read_text())
        return report


def outcomes(artifacts: Artifacts, report: dict[str, Any], task: str, pruner: str) -> numpy.ndarray:
    """[seeds x levels, examples, k] outcomes of a pruner on a task, in the order of the cells."""
    found = []
    for cell in report["cells"]:
        if (cell["task"], cell["pruner"]) == (task, pruner):
            kept = artifacts.load(cell["outcomes"])
            assert kept is not None, cell["id"]
            values = kept[0]["values"].double().numpy()
            found.append(values.reshape(len(values), -1))
    return numpy.stack(found)


def paired_difference(task: str, better: numpy.ndarray, worse: numpy.ndarray) -> tuple[float, float]:
    """Mean over seeds and levels of the difference in the metric, and its standard error over examples."""
    if better.shape[2] == 1:
        by_example = (better - worse).mean(axis=(0, 2))
        return float(by_example.mean()), float(by_example.std(ddof=1) / len(by_example) ** 0.5)
    draw = numpy.random.default_rng(0)
    count = better.shape[1]
    weights = draw.multinomial(count, numpy.full(count, 1 / count), size=RESAMPLES).astype(float)
    observed = bleu(better.sum(axis=1)).mean() - bleu(worse.sum(axis=1)).mean()
    resampled = [bleu(numpy.einsum("n,cnk->ck", w, better)).mean() - bleu(numpy.einsum("n,cnk->ck", w, worse)).mean()
                 for w in weights]  # fmt: skip
    return float(observed), float(numpy.std(resampled, ddof=1))


def bleu(statistics: numpy.ndarray) -> numpy.ndarray:
    """Corpus BLEU without smoothing from [cells, 10] sums: matches 1-4, totals 1-4, hypothesis and reference length.

    Written here because a bootstrap of sacrebleu's own function over a thousand resamples of 60 cells takes minutes.
    """
    matches, totals, lengths = statistics[:, :4], statistics[:, 4:8], statistics[:, 8:10]
    with numpy.errstate(divide="ignore", invalid="ignore"):
        precision = numpy.where(totals > 0, matches / totals, 0.0)
        geometric = numpy.exp(numpy.log(precision).mean(axis=1))
        brevity = numpy.exp(numpy.minimum(0.0, 1.0 - lengths[:, 1] / lengths[:, 0]))
    return 100.0 * numpy.nan_to_num(geometric * brevity)


def check(console: Console, title: str, columns: Iterable[str], rows: list[tuple[list[str], bool]]) -> bool:
    """Print one claim's table; whether it holds everywhere."""
    console.print(f"\n{title}")
    table = Table("task", *columns, "holds")
    for cells, holds in rows:
        table.add_row(*cells, "yes" if holds else "NO")
    console.print(table)
    return all(holds for _, holds in rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--store", type=Path, default=Path(".smc-harness"))
    parser.add_argument("--seeds", type=int, default=20, help="seeds of the level-0 check (default 20)")
    options = parser.parse_args()
    console, artifacts = Console(width=120), Artifacts(options.store / "artifacts")
    grid = run(
        options.store,
        "--pruners",
        "magnitude-after,random-after",
        "--seeds",
        "3",
        "--search",
        "grid",
        "--no-dense-check",
    )
    unpruned = run(options.store, "--pruners", "magnitude-after", "--levels", "0", "--seeds", str(options.seeds))
    tasks = grid["tasks"]
    tables: list[tuple[str, list[str], Callable[[str], tuple[list[str], bool]]]] = [
        ("1. dense", ["examples", "dense by seed", "at least"], lambda name: dense_row(name, tasks[name])),
        (
            "2. magnitude-after minus random-after, mean over 10 levels and 3 seeds",
            ["difference", "s.e.", "ratio"],
            lambda name: difference_row(name, grid, artifacts),
        ),
        (
            "3. failures",
            ["lowest first fail", "lowest at 0.893, share of dense"],
            lambda name: failure_row(name, grid),
        ),
        (
            "4. retrained at level 0",
            ["passed", "largest relative drop"],
            lambda name: unpruned_row(name, unpruned),
        ),
    ]
    holds = [check(console, title, columns, [row(name) for name in tasks]) for title, columns, row in tables]
    return 0 if all(holds) else 1


def dense_row(name: str, task: dict[str, Any]) -> tuple[list[str], bool]:
    bound = DENSE_AT_LEAST[name](task)
    scores = list(task["dense_by_seed"].values())
    shown = " ".join(f"{score:.4g}" for score in scores)
    return [name, str(task["n"]), shown, f"{bound:.3g}"], task["n"] >= 2000 and min(scores) >= bound


def difference_row(name: str, grid: dict[str, Any], artifacts: Artifacts) -> tuple[list[str], bool]:
    better, worse = (outcomes(artifacts, grid, name, pruner) for pruner in ("magnitude-after", "random-after"))
    difference, error = paired_difference(name, better, worse)
    return [name, f"{difference:.4g}", f"{error:.2g}", f"{difference / error:.1f}"], difference > 3 * error


def failure_row(name: str, grid: dict[str, Any]) -> tuple[list[str], bool]:
    first = [row["first_fail"] for row in grid["first_fail"] if row["task"] == name and row["first_fail"] is not None]
    last = [cell["value"] / cell["dense"] for cell in grid["cells"] if cell["task"] == name and cell["level"] == 0.893]
    return [name, str(min(first, default=None)), f"{min(last):.3f}"], min(first, default=1) <= 0.36 and min(last) < 0.5


def unpruned_row(name: str, report: dict[str, Any]) -> tuple[list[str], bool]:
    cells = [cell for cell in report["cells"] if cell["task"] == name]
    passed = sum(cell["verdict"] == "pass" for cell in cells)
    drop = max((cell["dense"] - cell["value"]) / cell["dense"] for cell in cells)
    return [name, f"{passed} of {len(cells)}", f"{drop:.2%}"], passed >= 0.95 * len(cells)


if __name__ == "__main__":
    sys.exit(main())
