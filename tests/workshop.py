"""A folder in which a test writes plugins and runs the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.toys import PRUNER, TOY_TASK

ROOT = Path(__file__).parents[1]


@dataclass
class Ran:
    """One run of the command line. report: what --json wrote, if asked for."""

    code: int
    out: str
    err: str
    report: dict[str, Any] = field(default_factory=dict)

    def cells(self) -> dict[str, dict[str, Any]]:
        return {cell["id"]: cell for cell in self.report["cells"]}


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
        variables = os.environ | (environment or {})
        done = subprocess.run(
            words, cwd=self.folder, capture_output=True, text=True, env=variables, timeout=timeout, check=False
        )
        report = json.loads(target.read_text()) if target.exists() else {}
        return Ran(done.returncode, done.stdout, done.stderr, report)
