"""Kill a run again and again, its driver or one of its workers, and see that nothing is lost.

    python -m tests.execution.kills --kills 100 --seed 0 --store DIR -- --tasks '*-mini' --pruners gmp,lth -n 2

What follows `--` is the run. It goes on in the same store until it comes to its end, and then begins with an empty one,
until so many kills have been dealt. In the end each store must hold what an undisturbed run measures, and no cell that
was reported may have been measured twice.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.workshop import children_of

_REPORTED = re.compile(r"^(\S+::\S+\]) (?:PASS|FAIL) .*?\(dense .*?\) \S+ s( cached)?", re.MULTILINE)


@dataclass
class Storm:
    """run: words of the command line. wait: the most seconds before a kill. folder: where it runs.

    dealt: kills so far, by whom they met. stores: how many came to their end.
    """

    run: Sequence[str]
    folder: Path
    wait: float
    draw: random.Random
    dealt: Counter[str] = field(default_factory=Counter)
    stores: int = 0

    def rage(self, kills: int, undisturbed: dict[str, Any]) -> None:
        """Deal so many kills. Raises AssertionError for whatever was lost or done twice."""
        while self.dealt.total() < kills:
            measured: Counter[str] = Counter()
            store = self.folder / f"store-{self.stores}"
            while self.dealt.total() < kills and not self._interrupted_run(store, measured):
                pass
            found = finished(self.run, self.folder, store)
            assert found == undisturbed, f"store {self.stores}: {_differing(found, undisturbed)}"
            assert not (twice := [cell for cell, times in measured.items() if times > 1]), f"measured twice: {twice}"
            shutil.rmtree(store)
            self.stores += 1

    def _interrupted_run(self, store: Path, measured: Counter[str]) -> bool:
        """One run, killed or not. Returns whether it came to its end."""
        log = self.folder / "log"
        with log.open("w") as stream:
            process = subprocess.Popen(
                [*_command(self.run, store), "-v"], cwd=self.folder, stdout=stream, stderr=subprocess.STDOUT
            )
            while process.poll() is None:
                try:
                    process.wait(self.draw.uniform(0.0, self.wait))
                except subprocess.TimeoutExpired:
                    self._kill(process)
        measured.update(cell for cell, cached in _REPORTED.findall(log.read_text()) if not cached)
        return process.returncode >= 0

    def _kill(self, process: subprocess.Popen[Any]) -> None:
        """The driver, or one of the processes under it: workers, and the server that they are forked from."""
        below = sorted(children_of(process.pid) - {process.pid})
        victim = process.pid if not below or self.draw.random() < 0.5 else self.draw.choice(below)
        try:
            os.kill(victim, signal.SIGKILL)
        except ProcessLookupError:
            return
        self.dealt["driver" if victim == process.pid else "another process"] += 1
        if victim == process.pid:
            process.wait()


def finished(run: Sequence[str], folder: Path, store: Path) -> dict[str, Any]:
    """{cell: what is to be equal} of a run that is left alone."""
    target = folder / "report.json"
    subprocess.run([*_command(run, store), "-q", "--json", str(target)], cwd=folder, capture_output=True, check=False)
    kept = ("verdict", "value", "realised", "dense", "outcomes")
    cells = json.loads(target.read_text())["cells"]
    target.unlink()
    return {cell["id"]: [cell[name] for name in kept] for cell in cells}


def _command(run: Sequence[str], store: Path) -> list[str]:
    return [sys.executable, "-m", "smc_harness", *run, "--store", str(store)]


def _differing(found: dict[str, Any], expected: dict[str, Any]) -> dict[str, Any]:
    return {name: (found.get(name), cell) for name, cell in expected.items() if found.get(name) != cell}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--wait", type=float, default=20.0, help="the most seconds before a kill")
    parser.add_argument("run", nargs="+", help="the words of the run")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        began = time.monotonic()
        undisturbed = finished(options.run, Path(name), Path(name, "undisturbed"))
        print(f"undisturbed: {len(undisturbed)} cells in {time.monotonic() - began:.0f} s", flush=True)
        storm = Storm(options.run, Path(name), options.wait, random.Random(options.seed))
        storm.rage(options.kills, undisturbed)
        print(f"{dict(storm.dealt)}, {storm.stores} stores, in {time.monotonic() - began:.0f} s: nothing lost")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
