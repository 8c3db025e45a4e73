"""What the harness adds to a cell that has nothing to compute, beside what pytest adds to a test that has none.

    python -m benchmarks.cell_overhead [--rounds 5] [--clock cpu] [--cells 1000] [--json FILE]

A task of two examples whose model has 64 weights and is trained for no step, and pruners that return the weights: ten
levels each, one worker, everything at its default but `--search grid`. A test whose body is `pass`, by pytest without
plugins. What is told is the cost of one more: the difference between a run of many and one of a tenth of them. A test
leaves nothing behind, a cell is durable before it is reported; so a test is taken together with one transaction
of SQLite that reaches the disk, with the pragmas and the row of our store. Claimed: a cell costs no more than both.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measure import Result, arguments, commands_in_turn, in_turn

TASK = """\
from smc_harness import Outcomes, Recipe, hookimpl

name, metric, unit = "nothing", "accuracy", "fraction"

@hookimpl
def prepare_data(context):
    return {"train": [0.0, 1.0], "test": [0.0, 1.0]}

@hookimpl
def prepare_model(context):
    import torch
    return torch.nn.Linear(8, 8, bias=False)

@hookimpl
def recipe(context):
    import torch
    return Recipe(steps=0, batch_size=2, optimizer=torch.optim.SGD)

@hookimpl
def collate(examples, context):
    import torch
    return torch.tensor(examples)

@hookimpl
def compute_loss(model, batch, context):
    return model.weight.sum()

@hookimpl
def evaluate(model, split, context):
    import torch
    return Outcomes(torch.ones(2))
"""
PRUNERS = """\
from smc_harness import hookimpl

class Pruner:
    phase = "after"

    def __init__(self, number):
        self.name = f"weights-{number}"

    @hookimpl
    def compute_scores(self, model, context):
        return {name: parameter.detach() for name, parameter in context.prunable(model)}

plugins = tuple(Pruner(number) for number in range(NUMBER))
"""
TESTS = """\
import pytest

@pytest.mark.parametrize("number", range(NUMBER))
def test_nothing(number):
    pass
"""
LEVELS = ",".join(f"{tenth / 20:g}" for tenth in range(1, 11))
COMMITS = 200


class Store:
    """A table like that of our measurements, in a file of its own."""

    def __init__(self, path: Path) -> None:
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.connection.execute("PRAGMA journal_mode = WAL")
        self.connection.execute("PRAGMA synchronous = FULL")
        self.connection.execute("CREATE TABLE measurements (key TEXT PRIMARY KEY, measurement TEXT) WITHOUT ROWID")
        self.number = 0

    def commit(self) -> None:
        """One row of the size of a measurement, COMMITS times."""
        row = json.dumps({"value": 1.0, "densities": {"weight": 0.5}, "outcomes": "0" * 40, "more": "x" * 150})
        for _ in range(COMMITS):
            self.number += 1
            self.connection.execute("BEGIN IMMEDIATE")
            self.connection.execute("INSERT INTO measurements VALUES (?, ?)", (f"{self.number:040d}", row))
            self.connection.execute("COMMIT")


def sides(folder: Path, many: int) -> dict[str, Sequence[str]]:
    """The commands, with what they need in the folder."""
    few = many // 10
    commands: dict[str, Sequence[str]] = {}
    for name, count in (("many", many), ("few", few)):
        plugins, tests = folder / f"plugins-{name}", folder / f"tests-{name}"
        plugins.mkdir()
        tests.mkdir()
        (plugins / "nothing.py").write_text(TASK)
        (plugins / "pruners.py").write_text(PRUNERS.replace("NUMBER", str(count // 10)))
        (tests / "test_nothing.py").write_text(TESTS.replace("NUMBER", str(count)))
        (tests / "pytest.ini").write_text("[pytest]\n")
        harness = [sys.executable, "-m", "smc_harness", "--collect", str(plugins), "-n", "1", "--search", "grid"]
        # a run begins with an empty store: what is in there already costs less
        commands[f"{name} cells"] = [*harness, "--levels", LEVELS, "--store", str(folder / "store"), "--cache-clear"]
        commands[f"{name} tests"] = [sys.executable, "-m", "pytest", str(tests)]
    return commands


def check(command: Sequence[str], folder: Path, cells: int) -> str:
    """That a run measures every cell. Ends the program otherwise."""
    target = folder / "report.json"
    subprocess.run([*command, "--json", str(target)], cwd=folder, check=True, capture_output=True)
    report = json.loads(target.read_text())
    measured = sum(cell["value"] == 1.0 and not cell["cached"] for cell in report["cells"])
    if measured != cells:
        sys.exit(f"{measured} cells were measured, {cells} were asked for")
    return f"{measured} cells have their value, as many as were asked for"


def main() -> int:
    parser = arguments(__doc__, rounds=5)
    parser.add_argument("--cells", type=int, default=1000, help="a multiple of 100")
    options = parser.parse_args()
    result = Result("The cost of one more cell", "python -m benchmarks.cell_overhead")
    folder = Path(tempfile.mkdtemp(dir=".")).resolve()  # on the disk that stores are on, which /tmp need not be
    try:
        commands = sides(folder, options.cells)
        result.checked.append(check(commands["many cells"], folder, options.cells))
        times: dict[str, list[float]] = {}
        store = Store(folder / "transactions.sqlite")
        for _ in range(options.rounds):
            environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
            found = commands_in_turn(commands, 1, options.clock, warm_up=0, cwd=folder, env=environment)
            found |= in_turn({"commits": store.commit}, 1, options.clock, warm_up=0)
            for name, seconds in found.items():
                times.setdefault(name, []).extend(seconds)
    finally:
        shutil.rmtree(folder)
    more = options.cells - options.cells // 10
    for what in ("cells", "tests"):
        pairs = zip(times[f"many {what}"], times[f"few {what}"], strict=True)
        times[what] = [(many - few) / more for many, few in pairs]
    times["a commit"] = [seconds / COMMITS for seconds in times["commits"]]
    times["a test and a commit"] = [a + b for a, b in zip(times["tests"], times["a commit"], strict=True)]
    result.add("a cell", times, "cells", "a test and a commit", at_most=1.0)
    result.add("a commit", times, "a commit", "a test and a commit")
    for what, name in (("cells", "a cell"), ("tests", "a test"), ("a commit", "a commit")):
        shown = sorted(times[what])
        result.figures[name] = f"{1e3 * shown[len(shown) // 2]:.2f} ms ({options.clock})"
    return result.finish(options.json)


if __name__ == "__main__":
    sys.exit(main())
