"""What a study costs, foretold from its plans and counted in its run: trainings, scorings, states kept, bytes.

    python -m benchmarks.study_cost [--tasks commonsense-mini] [--pruners snip,lth] [--levels 0.2,0.5] [--json FILE]

The model: a training for every distinct `Train` stage of all plans, dense ones shared; a scoring for every distinct
state that a plan prunes from, and one for every pruning within a training; a state kept for the start, for the dense
model, and for every further training that a plan goes on from; 4 bytes a weight and one more for a prunable weight of a
pruned state. A session plugin counts what the run really does, beside what the store holds in the end.
"""

from __future__ import annotations

import json
import math
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from benchmarks.measure import Ratio, Result, arguments
from smc_harness.cli.run import configured
from smc_harness.collection.collect import collect
from smc_harness.declarations.plans import Prune, Train
from smc_harness.execution.tracks import Track
from smc_harness.session import Session, plan

COUNTER = """\
import os
from pathlib import Path
from smc_harness import hookimpl

name = "counter"

def note(what):
    with Path(os.environ["SMC_COUNTED"]).open("a") as stream:
        stream.write(what + "\\n")

@hookimpl(wrapper=True)
def compute_scores(model, context):
    note("scorings")
    return (yield)
"""


def foretold(tracks: list[Track]) -> Counter[str]:
    """Trainings, scorings before a training or after one, and states, over all tracks."""
    trained: set[str] = {track.dense.trained for track in tracks}
    scored: set[tuple[str, str]] = set()
    kept: set[str] = {track.dense.trained for track in tracks}
    starts: set[str] = set()
    for track in tracks:
        for _, stages, chain in track.planned():
            starts.add(chain[0])
            for before, stage, key in zip(chain, stages, chain[1:], strict=False):
                if isinstance(stage, Train):
                    trained.add(key)
                    if key != chain[-1]:
                        kept.add(key)
                elif isinstance(stage, Prune):
                    scored.add((track.pruner.name, before))
    return Counter(trainings=len(trained), scorings=len(scored), states=len(kept | starts))


class Done:
    """A run, what its plugin counted, and the store that it left."""

    def __init__(self, folder: Path, words: Sequence[str]) -> None:
        counter, counted, report = folder / "counter.py", folder / "counted", folder / "run.json"
        counter.write_text(COUNTER)
        command = [sys.executable, "-m", "smc_harness", *words, "--collect", str(counter)]
        environment = os.environ | {"SMC_COUNTED": str(counted)}
        self.store = folder / "store"
        subprocess.run(
            [*command, "--store", str(self.store), "--json", str(report), "-q"],
            env=environment,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        self.cells: list[dict[str, Any]] = json.loads(report.read_text())["cells"]
        self.scorings = len(counted.read_text().split())
        self.states = sorted((self.store / "artifacts").glob("*/*.safetensors"))

    def trainings(self) -> int:
        """By the optimiser steps that cells report: a retraining may have fewer than a dense training."""
        with closing(sqlite3.connect(self.store / "results.sqlite")) as connection:
            rows = connection.execute("SELECT measurement FROM measurements WHERE pruner IS NULL").fetchall()
        dense = [json.loads(text)["steps"] for (text,) in rows]
        further = sum(
            cell["steps"] // dense[0] if cell["phase"] == "iterative" else cell["steps"] > 0 for cell in self.cells
        )
        return len(dense) + further

    def sizes(self) -> tuple[int, int]:
        """Bytes of all states, and what the model says: 4 a weight, and 1 more a prunable one of a pruned state."""
        from safetensors import safe_open

        expected = 0
        for path in self.states:
            with safe_open(path, "numpy") as stream:
                for name in stream.keys():  # noqa: SIM118  no mapping
                    size = math.prod(stream.get_slice(name).get_shape())
                    expected += {"weights": 4, "mask": 1}.get(name.partition(":")[0], 0) * size
        return sum(path.stat().st_size for path in self.states), expected

    def bytes_of_results(self) -> dict[str, float]:
        """Of a measured cell on average: its measurement, its verdict, and its outcomes."""
        asked = {"measurement": "measurements", "result": "session_cells", "outcomes": "outcomes"}
        with closing(sqlite3.connect(self.store / "results.sqlite")) as connection:
            return {
                column: connection.execute(f"SELECT AVG(LENGTH(CAST({column} AS BLOB))) FROM {table}").fetchone()[0]
                for column, table in asked.items()
            }


def main() -> int:
    parser = arguments(__doc__, rounds=1)
    parser.add_argument("--tasks", default="commonsense-mini")
    parser.add_argument("--pruners", default="magnitude-before,snip,magnitude-after,obert,lth")
    parser.add_argument("--levels", default="0.2,0.36,0.5,0.738")
    options = parser.parse_args()
    words = ["--tasks", options.tasks, "--pruners", options.pruners, "--levels", options.levels, "--search", "grid"]
    result = Result("What a study costs", "python -m benchmarks.study_cost")
    config = configured(words)
    expected = foretold(plan(Session(config, collect(config), Path("nowhere"))))
    with tempfile.TemporaryDirectory(dir=".") as name:
        done = Done(Path(name).resolve(), words)
        found = {"trainings": done.trainings(), "scorings": done.scorings, "states": len(done.states)}
        states, model = done.sizes()
        for what, size in done.bytes_of_results().items():
            result.figures[f"{what} of a cell"] = f"{size:.0f} bytes"
    for what, number in found.items():
        result.ratios.append(Ratio(f"{what}: {number} done", f"{expected[what]} foretold", (number / expected[what],)))
    result.ratios.append(Ratio("bytes of states", "4 a weight, 1 a mask", (states / model,), 1.1))
    if found != expected:
        sys.exit(f"{dict(expected)} were foretold, and {found} were done")
    result.checked.append("as many trainings, scorings and states as the plans foretell")
    return result.finish(options.json)


if __name__ == "__main__":
    sys.exit(main())
