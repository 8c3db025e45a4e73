"""What keeps a store in order: looking it through, joining others to it, and giving back room."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from smc_harness.store.artifacts import Artifacts
from smc_harness.store.results import Results

_LEFT_BEHIND = 24 * 3600.0
"""Seconds after which nobody is still writing a file that has no final name."""


@dataclass
class Found:
    """What a look through a store found. damaged: what is not as it was written, by what it is."""

    measurements: int = 0
    artifacts: int = 0
    size: int = 0
    damaged: list[str] = field(default_factory=list)


def check(folder: Path, results: Results, remove: bool = False) -> Found:
    """Read everything. remove: take out what is damaged, which a run would pass over anyway.

    Raises StoreError where the results cannot be read at all.
    """
    artifacts, found = Artifacts(folder / "artifacts"), Found()
    for key in results.keys():  # noqa: SIM118  no mapping
        whole = key in results.find([key])
        outcomes = not results.has_outcomes(key) or artifacts.read(key) is not None
        found.measurements += whole and outcomes
        if not (whole and outcomes):
            found.damaged.append(f"measurement {key}")
            if remove:
                results.drop(key)
    for path in states(folder):
        if artifacts.load(path.stem) is not None:
            found.artifacts += 1
            found.size += path.stat().st_size
        else:
            found.damaged.append(f"{path}")
            if remove:
                path.unlink(missing_ok=True)
    return found


@dataclass
class Taken:
    """What was taken over from another store."""

    measurements: int = 0
    artifacts: int = 0


def merge(folder: Path, results: Results, other: Path, others: Results) -> Taken:
    """Copy what the other store has and this one lacks. Sessions and their reports stay where they are.

    Raises StoreError where either cannot be read or written.
    """
    taken = Taken()
    with results.together():
        for key in others.keys():  # noqa: SIM118  no mapping
            taken.measurements += results.take_over(key, others)
    here, there = Artifacts(folder / "artifacts"), Artifacts(other / "artifacts")
    for path in states(other):
        if not here.has(path.stem) and (kept := there.load(path.stem)) is not None:
            here.save(path.stem, *kept)
            taken.artifacts += 1
    return taken


def prune(folder: Path, age: float) -> Found:
    """Remove trained states that are older than so many seconds, and what killed runs left half-written.

    Results stay: only what goes on from such a state has to train again.
    """
    removed, now = Found(), time.time()
    for path in states(folder):
        about = path.stat()
        if now - about.st_mtime >= age:
            removed.artifacts += 1
            removed.size += about.st_size
            path.unlink(missing_ok=True)
    for path in (folder / "artifacts").glob("*/.*"):
        if now - path.stat().st_mtime >= _LEFT_BEHIND:
            removed.size += path.stat().st_size
            path.unlink(missing_ok=True)
    return removed


def states(folder: Path) -> Iterator[Path]:
    """The files of trained states, in order."""
    yield from sorted((folder / "artifacts").glob("*/[!.]*.safetensors"))
