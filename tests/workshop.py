"""A folder in which a test writes plugins and runs the command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.toys import PRUNER, TOY_TASK

ROOT = Path(__file__).parents[1]


def our_pruners() -> str:
    """The names of all installed pruners that need to be told nothing and prune anything, but for those that run other
    libraries.
    """
    from smc_harness.discovery.catalogue import discover
    from smc_harness.discovery.loading import load

    found = [place for place in discover().installed["pruner"].values() if "adapters" not in str(place.module)]
    loaded = [load(place) for place in found if place.name != "given"]
    return ",".join(pruner.name for pruner in loaded if pruner.declared("prunes") != "linear")


@dataclass
class Ran:
    """One run of the command line. report: what --json wrote, if asked for."""

    code: int
    out: str
    err: str
    report: dict[str, Any] = field(default_factory=dict)

    def cells(self) -> dict[str, dict[str, Any]]:
        return {cell["id"]: cell for cell in self.report["cells"]}


@dataclass(frozen=True)
class Stopped:
    """A run that a signal ended. finished: ids of the cells it had reported. processes: its descendants then."""

    code: int
    log: str
    processes: set[int]

    @property
    def finished(self) -> list[str]:
        return [line.split()[0] for line in self.log.splitlines() if "(dense" in line]


@dataclass
class Workshop:
    """A folder in which a test writes plugins and runs the command line."""

    folder: Path

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    def toy(self) -> Path:
        """The task `toy`, in plugins/toy.py."""
        return self.write("plugins/toy.py", TOY_TASK)

    def pruner(self, name: str, phase: str = "after") -> Path:
        """A magnitude pruner of that name, in plugins/."""
        return self.write(f"plugins/{name.replace('-', '_')}.py", PRUNER.format(name=name, phase=phase))

    def run(self, *arguments: str, environment: dict[str, str] | None = None, timeout: float = 240) -> Ran:
        """Run `smc-harness` here, in a process of its own, with `--json` to a file."""
        target = self.folder / "report.json"
        target.unlink(missing_ok=True)
        words = [sys.executable, "-m", "smc_harness", *arguments, "--json", str(target)]
        variables = os.environ | {"GITHUB_ACTIONS": ""} | (environment or {})
        done = subprocess.run(
            words, cwd=self.folder, capture_output=True, text=True, env=variables, timeout=timeout, check=False
        )
        report = json.loads(target.read_text()) if target.exists() else {}
        return Ran(done.returncode, done.stdout, done.stderr, report)

    def stop(self, number: signal.Signals, cells: int, *arguments: str, timeout: float = 120) -> Stopped:
        """Run `smc-harness -v` here and send it a signal as soon as it has reported that many cells."""
        log = self.folder / "stopped.log"
        words = [sys.executable, "-m", "smc_harness", *arguments, "-v"]
        deadline = time.monotonic() + timeout
        with log.open("w") as stream:
            process = subprocess.Popen(
                words, cwd=self.folder, stdout=stream, stderr=subprocess.STDOUT, preexec_fn=heed_interrupts
            )
            while log.read_text().count("(dense") < cells and time.monotonic() < deadline:
                time.sleep(0.02)
            processes = children_of(process.pid)
            process.send_signal(number)
            code = process.wait(60)
        return Stopped(code, log.read_text(), processes)


def heed_interrupts() -> None:
    """Tests that were started in the background of a script ignore Ctrl-C, and so would all that they start."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def children_of(pid: int) -> set[int]:
    """All descendants of a process, by /proc; none where there is no /proc."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int(entry.joinpath("stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, IndexError):
                continue
    found, grown = {pid}, True
    while grown:
        more = {child for child, parent in parents.items() if parent in found} - found
        found |= more
        grown = bool(more)
    return found - {pid}


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def all_gone(processes: set[int]) -> bool:
    """Wait for processes to end; the servers behind the workers end just after the driver, not before it."""
    deadline = time.monotonic() + 60
    while any(map(alive, processes)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not any(map(alive, processes))
