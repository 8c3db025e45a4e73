"""What a pruning takes: seconds, and memory beside the model's own."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


@dataclass(frozen=True)
class Cost:
    """seconds: of the fastest of three calls, or of one that takes long. memory: bytes of tensors at most, those that
    were there before left out.
    """

    seconds: float
    memory: int


def cost_of(call: Callable[[], object]) -> Cost:
    seconds: list[float] = []
    while len(seconds) < 3 and sum(seconds) < 1.0:
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
    with Held() as held:
        call()
    return Cost(min(seconds), held.most)


class Held(TorchDispatchMode):
    """Adds up the tensors that live after every operation; exact, where the memory of a process is not.

    most: bytes at once. What an operation needs inside of itself alone is not seen.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.most = 0
        self._living: dict[int, tuple[StorageWeakRef, int]] = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        result = func(*args, **(kwargs or {}))
        before = {item.untyped_storage()._cdata for item in tree_leaves((args, kwargs)) if isinstance(item, Tensor)}
        for item in tree_leaves(result):
            if isinstance(item, Tensor) and (key := item.untyped_storage()._cdata) not in before:
                self._add(key, item.untyped_storage())
        return result

    def _add(self, key: int, storage: torch.UntypedStorage) -> None:
        if key in self._living and not self._living[key][0].expired():  # type: ignore[no-untyped-call]
            return
        living = {k: (ref, size) for k, (ref, size) in self._living.items() if not ref.expired()}  # type: ignore[no-untyped-call]
        self._living = living
        self._living[key] = StorageWeakRef(storage), storage.nbytes()  # type: ignore[no-untyped-call]
        self.most = max(self.most, sum(size for _, size in self._living.values()))
