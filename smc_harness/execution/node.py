"""A job on a node of a cluster: done by a worker process there, in a store that lasts as long as the job does.

What a plugin can do to a process it does to that one, so a fault costs on a node what it costs on one machine. Nothing
of a node is needed afterwards: what the job wrote is handed on before whatever is said of it.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from smc_harness.errors import limitation
from smc_harness.execution.devices import VISIBLE
from smc_harness.execution.jobs import Died, Event, Job, Progress
from smc_harness.execution.processes import ProcessExecutor
from smc_harness.store.artifacts import Artifacts
from smc_harness.store.identity import environment

LOST = 5
"""How often a level may lose the node under it, which is seldom its own fault, before it is named."""
_PROGRESS_SECONDS = 1.0
"""Between two messages of progress, of which a driver may hear from many nodes."""


@dataclass(frozen=True)
class Wrote:
    """The job's store has another artifact under a key; None: it has none now."""

    key: str
    content: bytes | None


@dataclass(frozen=True)
class Terms:
    """What a node must know beside the job. environment: that of the driver. shared, timeout: as of ProcessExecutor."""

    environment: str
    shared: tuple[str, ...] = ()
    timeout: float | None = None


def serve(job: Job, given: Iterable[tuple[str, bytes]], terms: Terms) -> Iterator[Event | Wrote]:
    """Do a job here, and yield what happens. given: artifacts that it may go on from, by key.

    Another processor or torch would give other bits, and is no node to do it on.
    """
    if environment() != terms.environment:
        reason = f"node {platform.node()}: another processor, torch, numpy or smc-harness than where the run began"
        yield Died(None, reason + limitation("nodes-of-one-type"), tries=LOST)
        return
    with TemporaryDirectory(prefix="smc-harness-") as name:
        folder = Path(name)
        artifacts = Artifacts(folder / "artifacts")
        for key, content in given:
            artifacts.take(key, content)
        mirror = Mirror(artifacts.folder)
        (folder / "logs").mkdir()
        gpus = os.environ.get(VISIBLE, "0").split(",") if job.options.device == "cuda" else []
        with closing(ProcessExecutor(1, folder / "logs", gpus, terms.shared, terms.timeout)) as executor:
            executor.submit(replace(job, store=name))
            said = 0.0
            for _, event in executor.events():
                yield from mirror.changes()
                if not isinstance(event, Progress):
                    yield event
                elif time.monotonic() >= said + _PROGRESS_SECONDS:
                    said = time.monotonic()
                    yield event


class Mirror:
    """Tells how a folder of artifacts differs from what it was when somebody last looked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._seen = self._versions()

    def changes(self) -> Iterator[Wrote]:
        now = self._versions()
        for path in sorted(self._seen.keys() - now.keys()):
            yield Wrote(path.stem, None)
        for path in sorted(now):
            if self._seen.get(path) != now[path]:
                try:
                    yield Wrote(path.stem, path.read_bytes())
                except FileNotFoundError:  # dropped meanwhile, which the next look tells
                    continue
        self._seen = now

    def _versions(self) -> dict[Path, tuple[int, int]]:
        """Of every file that has its final name, what is another number when it is another file."""
        found = {}
        for path in self.folder.glob("*/[!.]*.safetensors"):
            try:
                about = path.stat()
            except FileNotFoundError:
                continue
            found[path] = about.st_ino, about.st_mtime_ns
        return found
