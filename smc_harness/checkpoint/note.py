"""What a pruning of a checkpoint was asked for, and how far it came: a file beside those that it writes."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from smc_harness.checkpoint.shards import Shard
from smc_harness.discovery.loading import Plugin
from smc_harness.errors import UsageError
from smc_harness.store.identity import digest

NAME = "smc_harness.json"


@dataclass
class Note:
    """request: of what was asked of which files. files: those that are done, with how many weights of each tensor live.
    weights: in scope. cut: the global one, once it is known, and how far its ties were given. layers: how many weights
    live of those that a walk over blocks has left. walk: the number of that walk, from 1.
    """

    request: str
    pruner: str
    level: float
    structure: str
    weights: int
    files: dict[str, dict[str, int]] = field(default_factory=dict)
    cut: dict[str, Any] | None = None
    layers: dict[str, int] = field(default_factory=dict)
    walk: int = 0

    @classmethod
    def read(cls, path: Path) -> Note | None:
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            raise UsageError(f"{path}: not a note of smc-harness prune; another --out would work") from error

    def write(self, path: Path) -> None:
        partial = path.with_name(f".{path.name}.partial")
        with partial.open("w", encoding="utf-8") as stream:
            json.dump(asdict(self), stream, indent=1)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)


@dataclass(frozen=True)
class Pruned:
    """weights: in scope. pruned: of them. resumed: how many files, or matrices of blocks, were done before."""

    weights: int
    pruned: int
    files: int
    resumed: int

    @classmethod
    def by(cls, note: Note, resumed: int) -> Pruned:
        """What a note says that was done."""
        living = sum(sum(each.values()) for each in note.files.values())
        return cls(note.weights, note.weights - living, len(note.files), resumed)


def request(files: Sequence[Shard], pruner: Plugin, level: float, *asked: object) -> str:
    """What stands for a pruning of these files. asked: what else its outcome depends on."""
    about = [(shard.path.name, (found := shard.path.stat()).st_size, found.st_mtime_ns) for shard in files]
    return digest("prune", about, [digest(shard.head.hex()) for shard in files], pruner.identity, level, *asked)


def earlier(source: Path, target: Path, asked: str) -> Note | None:
    """The note of an earlier run for the same, if all its files are there: of one that was taken away nobody knows how
    far ties had been given by then. Raises UsageError for a target that holds something else.
    """
    if target.resolve() == source.resolve():
        raise UsageError(f"--out {target}: that is the checkpoint itself; another folder would work")
    note = Note.read(target / NAME) if target.is_dir() else None
    if note is None and target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UsageError(f"--out {target}: holds something else; an empty or a new folder would work")
    if note is not None and not (note.files or note.layers or note.cut):
        return None  # nothing was done but to begin
    if note is not None and note.request != asked:
        raise UsageError(f"--out {target}: holds another pruning ({note.pruner} at {note.level}); another would work")
    return note if note is not None and all((target / name).is_file() for name in note.files) else None


def begun(target: Path, asked: str, pruner: Plugin, level: float, weights: int) -> Note:
    """A new note, in the target."""
    target.mkdir(parents=True, exist_ok=True)
    note = Note(asked, pruner.name, level, str(pruner.structure), weights)
    note.write(target / NAME)
    return note


def copy_rest(source: Path, target: Path, files: Sequence[Shard]) -> None:
    """Configuration and tokeniser; other weights beside the safetensors are left."""
    taken = {shard.path.name for shard in files}
    for path in sorted(source.iterdir()):
        if path.is_file() and path.name not in {*taken, NAME} and path.suffix in (".json", ".txt", ".model", ".jinja"):
            shutil.copyfile(path, target / path.name)
