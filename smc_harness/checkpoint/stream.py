"""One tensor after another: a checkpoint is pruned in the memory that its largest tensor takes.

A global cut is found by one reading of weights of 16 bits, and by two of 32; then each file is read once more and
written. What is done is noted beside the files, so that a run that was killed goes on with the next file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from torch import Tensor, nn

from smc_harness.checkpoint.note import NAME, Note, Pruned, begun, copy_rest, earlier, request
from smc_harness.checkpoint.scorer import Scorer
from smc_harness.checkpoint.shards import Shard, matrices, shards
from smc_harness.checkpoint.turned import turned
from smc_harness.discovery.loading import Plugin
from smc_harness.sparsity.mask import put_on
from smc_harness.sparsity.pieces import count
from smc_harness.sparsity.select import pruned_count, select, shares
from smc_harness.sparsity.stream import StreamedCut, find_cut

Progress = Callable[[str, int, int], None]
"""(what is being done, files done, of)"""


def prune(
    source: Path, target: Path, pruner: Plugin, level: float, wanted: Callable[[str], bool], progress: Progress
) -> Pruned:
    """Prune the matrices whose names are wanted. Raises UsageError for what cannot be had, and for a target that holds
    something else.
    """
    files = shards(source)
    entries = matrices(files, wanted)
    sizes = {entry.name: entry.shape for entry in entries}
    scorer = Scorer(pruner, wide=len({entry.dtype for entry in entries}) > 1)
    if pruner.structure.pattern is not None or pruner.structure.allocation == "rows":
        scorer.turned = turned(source, sizes)
    asked = request(files, pruner, level, sorted(sizes))
    total = sum(rows * columns for rows, columns in sizes.values())
    note = earlier(source, target, asked) or begun(target, asked, pruner, level, total)
    done = len(note.files)
    choose = _chooser(note, target / NAME, files, sizes, scorer, level, progress)
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
        note.write(target / NAME)
    copy_rest(source, target, files)
    return Pruned.by(note, done)


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
