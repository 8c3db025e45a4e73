"""One block after another: a pruner that runs the model prunes a checkpoint in the memory of a block.

The model's weights are the mapped files. What a walk leaves of a block is written into the new files at once, and what
the model has of it from then on are these; so nothing but one block's weights, and what it gives for the calibration
examples, is held. A run that was killed goes on with the next block.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from smc_harness.checkpoint.note import NAME, Note, Pruned, begun, copy_rest, earlier, request
from smc_harness.checkpoint.shards import Entry, Shard, as_bytes, matrices, shards
from smc_harness.conversation.conversation import Conversation
from smc_harness.conversation.options import RunOptions
from smc_harness.conversation.relay import implements
from smc_harness.conversation.scoring import restored
from smc_harness.declarations.plans import Prune, Train
from smc_harness.discovery.loading import Plugin
from smc_harness.errors import PluginError, UsageError
from smc_harness.sparsity import mask as masks
from smc_harness.sparsity.pieces import count
from smc_harness.sparsity.scope import not_linear, two_dimensional

Progress = Callable[[str, int, int], None]
"""(what is being done, files or matrices done, of)"""


def prune(
    source: Path,
    target: Path,
    pruner: Plugin,
    level: float,
    wanted: Callable[[str], bool],
    task: Plugin,
    options: RunOptions,
    progress: Progress,
) -> Pruned:
    """Prune the matrices whose names are wanted, calibrated on the training examples of a task that has this model.

    options: with the digests of what the task reads. Raises UsageError for what cannot be had, and for a target that
    holds something else.
    """
    files = shards(source)
    talk = Conversation(task, pruner, [], options, 0)
    _check(talk, level)
    in_scope = sorted(entry.name for entry in matrices(files, wanted))
    asked = request(files, pruner, level, in_scope, task.identity, options.data_identity(), options.session_seed)
    note = earlier(source, target, asked)
    done = len(note.layers) if note is not None else 0
    if note is None or not note.files:
        model = talk.build_model()
        names = [name for name in two_dimensional(model) if wanted(name)]
        if others := not_linear(model, names):
            raise UsageError(f"{pruner.name} prunes linear layers; {others[0]!r} is none: --scope blocks would work")
        talk.adopt(model, names)
        weights = dict(talk.prunable(model))
        places = find_places(files, weights)
        if unknown := set(in_scope) - {entry.name for _, entry in places.values()}:
            raise UsageError(f"{source}: the model has no {min(unknown)!r}; another --scope would work")
        note = note or begun(target, asked, pruner, level, sum(weight.numel() for weight in weights.values()))
        keeper = BlockFiles(note, target, files, places, progress)
        keeper.copy()
        _walk(talk, model, level, keeper)
        keeper.close()
        copy_rest(source, target, files)
    return Pruned.by(note, done)


def _check(talk: Conversation, level: float) -> None:
    """Raises UsageError for a pruner that does not go from block to block, or whose plan is more than one pruning."""
    pruner = talk.pruner_plugin
    assert pruner is not None
    linear = pruner.declared("prunes", "all") == "linear"
    if not linear or not implements(pruner, "apply_mask") or implements(pruner, "compute_scores"):
        raise UsageError(
            f"{pruner.name}: does not prune block after block; one that walks over linear layers in `apply_mask` "
            "would work"
        )
    plan = talk.hook.plan(level=level, context=talk.pruner)
    if [type(stage) for stage in plan] != [Train, Prune]:
        raise UsageError(f"{pruner.name}: trains what it pruned, which is not done here; without that it would work")


def _walk(talk: Conversation, model: nn.Module, level: float, keeper: BlockFiles) -> None:
    talk.keeper, talk.pruner.mask = keeper, None
    with restored(model), torch.no_grad(), talk.seeded(talk.pruner, "mask", level):
        model.eval()
        talk.hook.apply_mask(model=model, scores=None, level=level, context=talk.pruner)
    keeper.check_whole(talk.pruner.name)


class BlockFiles:
    """The files that are written, block by block. They have other names until all is done.

    places: for each weight in scope, where it lies in its file.
    """

    def __init__(
        self,
        note: Note,
        target: Path,
        files: Sequence[Shard],
        places: Mapping[str, tuple[Shard, Entry]],
        progress: Progress,
    ) -> None:
        self._note, self._target, self._files = note, target, files
        self._places = places
        self._progress = progress
        self._walks = 0

    # -- the files ----------------------------------------------------------------------------------------------

    def copy(self) -> None:
        """Copy the files that are not there yet; they are then written over block by block."""
        if not all(self._path(shard).is_file() for shard in self._files):
            # what blocks had been written to a file that was taken away is not known any more
            self._note.layers, self._note.walk = {}, 0
            self._note.write(self._target / NAME)
        if not self._note.layers:
            for number, shard in enumerate(self._files):
                self._progress("copy", number, len(self._files))
                shutil.copyfile(shard.path, self._partial(shard))

    def close(self) -> None:
        for shard in self._files:
            self._path(shard).replace(self._target / shard.path.name)
            here = {name: kept for name, kept in self._note.layers.items() if self._places[name][0] is shard}
            self._note.files[shard.path.name] = here
        self._note.write(self._target / NAME)

    def check_whole(self, who: str) -> None:
        """Raise PluginError unless every matrix was pruned."""
        if missed := [name for name in self._places if name not in self._note.layers]:
            raise PluginError(f"{who}: {missed[0]!r} was not pruned; `block.prune` of every block would work")

    def _partial(self, shard: Shard) -> Path:
        return self._target / f".{shard.path.name}.partial"

    def _path(self, shard: Shard) -> Path:
        """Where the new file is; one that was killed at the end may have renamed some."""
        return partial if (partial := self._partial(shard)).is_file() else self._target / shard.path.name

    # -- what a walk asks -----------------------------------------------------------------------------------------

    def begin(self) -> None:
        self._walks += 1

    def take_up(self, layers: Mapping[str, Any]) -> bool:
        kept = self._walks == self._note.walk and all(name in self._note.layers for name in layers)
        for name, layer in layers.items():
            if kept:
                self._map(name, layer, self._path(self._places[name][0]))
            else:
                # what is written to in a mapping stays in memory as long as any other tensor of its file is used
                layer.weight.data = layer.weight.data.clone()
        return kept

    def keep(self, layers: Mapping[str, Any], mask: Mapping[str, Tensor]) -> None:
        """Raises PluginError for a pruner that prunes a second time."""
        if not mask:  # it only looked
            for name, layer in layers.items():
                self._map(name, layer, self._places[name][0].path)
            return
        if self._note.walk not in (0, self._walks):
            raise PluginError("pruned by two walks over the blocks; one would work")
        masks.put_on(mask, [(name, layers[name].weight) for name in mask])
        for name, layer in layers.items():
            shard, entry = self._places[name]
            with self._path(shard).open("r+b") as stream:
                stream.seek(entry.begin)
                stream.write(as_bytes(layer.weight))
                stream.flush()
                os.fsync(stream.fileno())
            self._note.layers[name] = count(mask[name]) if name in mask else layer.weight.numel()
            self._map(name, layer, self._path(shard))
        self._note.walk = self._walks
        self._note.write(self._target / NAME)
        self._progress("prune", len(self._note.layers), len(self._places))

    def _map(self, name: str, layer: Any, path: Path) -> None:
        """Let a layer have its weight from a file, so that what it had in memory is given back."""
        shard, entry = self._places[name]
        ((_, weight),) = replace(shard, path=path).tensors({entry.name})
        layer.weight.data = weight


def find_places(files: Sequence[Shard], weights: Mapping[str, nn.Parameter]) -> dict[str, tuple[Shard, Entry]]:
    """Where each weight of a model lies in its files. A checkpoint may have been saved without the head's prefix, or
    with one more. Raises UsageError for a weight that is not there as it is in the model.
    """
    known = {entry.name: (shard, entry) for shard in files for entry in shard.entries}
    found: dict[str, tuple[Shard, Entry]] = {}
    for name, weight in weights.items():
        near = [name] if name in known else [other for other in known if _ends_alike(name, other)]
        if len(near) != 1:
            raise UsageError(
                f"{files[0].path.parent}: no tensor for the model's {name!r}; a checkpoint of its own would work"
            )
        shard, entry = known[near[0]]
        ((_, there),) = shard.tensors({entry.name})
        if there.dtype != weight.dtype or not torch.equal(there, weight.detach()):
            kind = str(weight.dtype).removeprefix("torch.")
            raise UsageError(
                f"{shard.path}: {entry.name!r} is not what the model has as {name!r}; its own weights, in {kind}, "
                "would work"
            )
        found[name] = shard, entry
    return found


def _ends_alike(name: str, other: str) -> bool:
    return f".{name}".endswith(f".{other}") or f".{other}".endswith(f".{name}")
