"""One tensor after another: a checkpoint is pruned in the memory that its largest tensor takes.

A global cut is found by one reading of weights of 16 bits, and by two of 32; then each file is read once more and
written. What is done is noted beside the files, so that a run that was killed goes on with the next file.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from smc_harness.checkpoint.scorer import Scorer
from smc_harness.checkpoint.shards import Shard, shards
from smc_harness.checkpoint.turned import turned
from smc_harness.discovery.loading import Plugin
from smc_harness.errors import UsageError
from smc_harness.sparsity.mask import put_on
from smc_harness.sparsity.pieces import count
from smc_harness.sparsity.select import pruned_count, select, shares
from smc_harness.sparsity.stream import StreamedCut, find_cut
from smc_harness.store.identity import digest

NOTE = "smc_harness.json"
"""What was done, and while it is under way, how far it came."""

Progress = Callable[[str, int, int], None]
"""(what is being done, files done, of)"""


@dataclass
class Note:
    """request: of what was asked of which files. files: those that are done, with how many weights of each tensor live.
    cut: the global one, once it is known, and how far its ties were given.
    """

    request: str
    pruner: str
    level: float
    structure: str
    files: dict[str, dict[str, int]] = field(default_factory=dict)
    cut: dict[str, Any] | None = None

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
    """weights: in scope. pruned: of them. resumed: files that were done before."""

    weights: int
    pruned: int
    files: int
    resumed: int


def prune(
    source: Path, target: Path, pruner: Plugin, level: float, wanted: Callable[[str], bool], progress: Progress
) -> Pruned:
    """Prune the matrices whose names are wanted. Raises UsageError for what cannot be had, and for a target that holds
    something else.
    """
    files = shards(source)
    matrices = [entry for shard in files for entry in shard.entries if entry.is_matrix and wanted(entry.name)]
    sizes = {entry.name: entry.shape for entry in matrices}
    if not sizes:
        raise UsageError(f"{source}: no matrix in scope; --scope all would take every one")
    scorer = Scorer(pruner, wide=len({entry.dtype for entry in matrices}) > 1)
    if pruner.structure.pattern is not None or pruner.structure.allocation == "rows":
        scorer.turned = turned(source, sizes)
    note = _begun(source, target, files, pruner, level, sorted(sizes))
    done = len(note.files)
    choose = _chooser(note, target / NOTE, files, sizes, scorer, level, progress)
    for number, shard in enumerate(files):
        progress("prune", number, len(files))
        if shard.path.name in note.files:
            continue
        kept: dict[str, int] = {}

        def change(name: str, weight: Tensor, kept: dict[str, int] = kept) -> Tensor:
            mask = choose(name, scorer(name, weight))
            kept[name] = count(mask)
            pruned = nn.Parameter(weight.clone(), requires_grad=False)
            put_on({name: mask}, [(name, pruned)])
            return pruned

        shard.write(target / shard.path.name, change, set(sizes))
        note.files[shard.path.name] = kept
        note.write(target / NOTE)
    _copy_rest(source, target, files)
    living = sum(sum(each.values()) for each in note.files.values())
    total = sum(rows * columns for rows, columns in sizes.values())
    return Pruned(total, total - living, len(files), done)


def _begun(
    source: Path, target: Path, files: Sequence[Shard], pruner: Plugin, level: float, names: Sequence[str]
) -> Note:
    """The note of an earlier run for the same, or a new one."""
    about = [(shard.path.name, (found := shard.path.stat()).st_size, found.st_mtime_ns) for shard in files]
    request = digest("prune", about, [digest(shard.head.hex()) for shard in files], pruner.identity, level, names)
    if target.resolve() == source.resolve():
        raise UsageError(f"--out {target}: that is the checkpoint itself; another folder would work")
    target.mkdir(parents=True, exist_ok=True)
    note = Note.read(target / NOTE)
    if note is None and any(target.iterdir()):
        raise UsageError(f"--out {target}: holds something else; an empty or a new folder would work")
    if note is not None and note.request != request:
        raise UsageError(f"--out {target}: holds another pruning ({note.pruner} at {note.level}); another would work")
    if note is None or not all((target / name).is_file() for name in note.files):
        # of a file that was taken away nobody knows how far ties had been given by then
        note = Note(request, pruner.name, level, str(pruner.structure))
        note.write(target / NOTE)
    return note


def _chooser(
    note: Note,
    path: Path,
    files: Sequence[Shard],
    shapes: Mapping[str, Sequence[int]],
    scorer: Scorer,
    level: float,
    progress: Progress,
) -> Callable[[str, Tensor], Tensor]:
    """What says which weights of the next tensor live. path: of the note, which learns the global cut."""
    structure = scorer.structure
    if structure.allocation == "global" and structure.pattern is None:
        if note.cut is None:
            note.cut = asdict(find_cut(lambda: _scores(files, set(shapes), scorer, progress), _asked(shapes, level)))
            note.write(path)
        given = StreamedCut(**note.cut)

        def of_all(name: str, scores: Tensor) -> Tensor:
            mask = given.living(scores)
            note.cut = asdict(given)
            return mask

        return of_all
    levels = shares(shapes, level, structure, None, scorer.name)
    return lambda name, scores: select({name: scores}, levels[name], structure, None, scorer.turned)[name]


def _asked(shapes: Mapping[str, Sequence[int]], level: float) -> int:
    return pruned_count(level, sum(rows * columns for rows, columns in shapes.values()))


def _scores(files: Sequence[Shard], names: set[str], scorer: Scorer, progress: Progress) -> Iterator[Tensor]:
    for number, shard in enumerate(files):
        progress("rank", number, len(files))
        for name, weight in shard.tensors(names):
            yield scorer(name, weight)


def _copy_rest(source: Path, target: Path, files: Sequence[Shard]) -> None:
    """Configuration and tokeniser; other weights beside the safetensors are left."""
    taken = {shard.path.name for shard in files}
    for path in sorted(source.iterdir()):
        if path.is_file() and path.name not in {*taken, NOTE} and path.suffix in (".json", ".txt", ".model", ".jinja"):
            shutil.copyfile(path, target / path.name)
