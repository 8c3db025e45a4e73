"""The splits of the tasks that a process has met: read and tokenised once, checked, and kept for later cells."""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from smc_harness.errors import PluginError

Splits = Mapping[str, Sequence[Any]]

_ALWAYS_KEPT = 2
_ROOM = 256 * 2**20
_SAMPLE = 50


@dataclass
class Kept:
    """The splits used last: at least two, more as long as all together have room.

    A worker goes from task to task, since the longest trajectories start first; so those of all mini tasks stay, and of
    tasks with millions of tokens no more than two.
    """

    room: int = _ROOM
    _found: OrderedDict[tuple[object, ...], Splits] = field(default_factory=OrderedDict)
    _sizes: dict[tuple[object, ...], int] = field(default_factory=dict)

    def get(self, key: tuple[object, ...]) -> Splits | None:
        if key in self._found:
            self._found.move_to_end(key)
        return self._found.get(key)

    def put(self, key: tuple[object, ...], splits: Splits) -> None:
        self._found[key] = splits
        self._found.move_to_end(key)
        self._sizes[key] = sum(map(size, splits.values()))
        while len(self._found) > _ALWAYS_KEPT and sum(self._sizes.values()) > self.room:
            oldest, _ = self._found.popitem(last=False)
            del self._sizes[oldest]


def size(examples: Sequence[Any]) -> int:
    """About how many bytes the examples take, told from some of them; more than there are where that cannot be told."""
    step = max(1, len(examples) // _SAMPLE)
    sample = [examples[index] for index in range(0, len(examples), step)]
    try:
        return sum(map(_bytes, sample)) * step
    except Exception:  # what a plugin's examples raise is of any kind
        return 2**63


class _Pickler(pickle.Pickler):
    """Counts tensors by their elements: written, each view of a large one would hold all of it."""

    tensors = 0

    def persistent_id(self, found: object) -> str | None:
        if not isinstance(found, torch.Tensor):
            return None
        self.tensors += found.nbytes
        return ""


def _bytes(example: object) -> int:
    written = io.BytesIO()
    pickler = _Pickler(written)
    pickler.dump(example)
    return written.tell() + pickler.tensors


def checked(given: object, limit: int | None, task: str) -> Splits:
    """What `prepare_data` returned, with `test` cut to the limit. Raises PluginError."""
    if not isinstance(given, Mapping) or not {"train", "test"} <= set(given):
        raise PluginError(f"{task}: prepare_data must return a dict with at least 'train' and 'test'")
    splits = dict(given)
    for name, examples in splits.items():
        if not len(examples):
            raise PluginError(f"{task}: the split {name!r} is empty")
    if limit is not None:
        splits["test"] = [splits["test"][i] for i in range(min(limit, len(splits["test"])))]
    return splits


def with_valid(splits: Splits, seed: int) -> Splits:
    """Hold out every tenth example of a seeded shuffle of `train`."""
    train = splits["train"]
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed)).tolist()
    held_out = set(order[::10])
    return {
        **splits,
        "train": [train[i] for i in range(len(train)) if i not in held_out],
        "valid": [train[i] for i in sorted(held_out)],
    }
