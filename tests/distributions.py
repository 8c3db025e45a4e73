"""Building distributions, and environments into which a test installs them."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

from tests.workshop import ROOT


@dataclass(frozen=True)
class Environment:
    """A virtual environment beside ours, which sees what is installed in ours after its own packages.

    Of our own package it sees the metadata alone, unless it is installed here: ours is an editable one.
    """

    folder: Path

    @classmethod
    def make(cls, folder: Path) -> Environment:
        venv.create(folder, with_pip=False)
        (own,) = folder.glob("[Ll]ib/**/site-packages")
        # what .pth files there would add, an editable harness among it, stays out
        (own / "beside.pth").write_text("\n".join(path for path in sys.path if Path(path).name == "site-packages"))
        return cls(folder)

    @property
    def scripts(self) -> Path:
        return self.folder / ("Scripts" if os.name == "nt" else "bin")

    def run(self, *words: str, folder: Path, timeout: float = 600) -> subprocess.CompletedProcess[str]:
        """Run a program of this environment, `python` or one that was installed, in a folder."""
        left_out = ("PYTHONPATH", "SMC_HARNESS_ADDOPTS", "GITHUB_ACTIONS")
        variables = {name: value for name, value in os.environ.items() if name not in left_out}
        variables |= {"PATH": f"{self.scripts}{os.pathsep}{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
        own = self.scripts / words[0]
        program = [str(own)] if own.exists() else [words[0]]
        return subprocess.run(
            [*program, *words[1:]],
            cwd=folder,
            env=variables,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def install(self, wheel: Path) -> None:
        done = self.run("python", "-m", "pip", "install", "--no-deps", str(wheel), folder=wheel.parent)
        assert done.returncode == 0, done.stdout + done.stderr


def build(source: Path, into: Path) -> tuple[Path, Path]:
    """The sdist of a source tree, and the wheel that is made of that sdist; both checked as an index would."""
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(into), str(source)],
        check=True,
        capture_output=True,
        timeout=120,
    )
    (sdist,), (wheel,) = into.glob("*.tar.gz"), into.glob("*.whl")
    checked = subprocess.run(
        [sys.executable, "-m", "twine", "check", "--strict", str(sdist), str(wheel)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout
    return sdist, wheel


def with_the_harness(folder: Path) -> Environment:
    """An environment into which nothing but our wheel was installed."""
    environment = Environment.make(folder / "environment")
    environment.install(build(ROOT, folder / "dist")[1])
    return environment
