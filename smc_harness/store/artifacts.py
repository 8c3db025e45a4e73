"""Tensors on disk, by content key: trained states, scores, outcomes. safetensors only, never pickle."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


_AT_ONCE = 16
"""Files that are synced together."""


class Artifacts:
    """Content-addressed files under one folder. A file is written under another name, synced, and renamed, so that a
    file that exists is whole; writing the same key twice is harmless.

    A disk takes about as long for many files that are waited for together as for one. So what only counts once somebody
    else has written it down, too, is left `pending` by whoever saves it, and `settle` makes it last, with others.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.safetensors"

    def _pending(self, key: str) -> Path:
        return self.path(key).with_suffix(".pending")

    def has(self, key: str) -> bool:
        return self.path(key).is_file()

    def save(
        self, key: str, tensors: Mapping[str, Tensor], note: Mapping[str, Any] | None = None, pending: bool = False
    ) -> None:
        """tensors: any names. note: JSON values kept beside them. pending: it can be read, but is not there to last."""
        from safetensors.torch import save_file

        path = self._pending(key) if pending else self.path(key)
        if not path.parent.is_dir():
            path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{key}.{uuid.uuid4().hex}")
        try:
            contiguous = {name: tensor.detach().contiguous().cpu() for name, tensor in tensors.items()}
            save_file(contiguous, partial, metadata={"note": json.dumps(note or {})})
            if not pending:
                _sync(partial)
            partial.replace(path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise

    def settle(self, keys: Collection[str]) -> None:
        """Make what is pending under these keys last; what is not there is passed over."""
        waiting = [key for key in keys if self._pending(key).is_file()]
        if len(waiting) > 1:
            list(self._threads.map(self._settle, waiting))
        elif waiting:
            self._settle(waiting[0])

    def _settle(self, key: str) -> None:
        pending = self._pending(key)
        try:
            _sync(pending)
            pending.replace(self.path(key))
        except FileNotFoundError:
            if not self.has(key):  # else another session was first: what it wrote is the same
                raise

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(_AT_ONCE, "sync")

    def load(self, key: str) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """The tensors and the note, or None if there is no such artifact or it cannot be read."""
        return self._open(key, "pt")

    def read(self, key: str) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """The same with arrays of numpy, without torch."""
        return self._open(key, "numpy")

    def _open(self, key: str, framework: str) -> tuple[dict[str, Any], dict[str, Any]] | None:
        from safetensors import SafetensorError, safe_open

        for path in (self.path(key), self._pending(key)):
            try:
                with safe_open(path, framework=framework) as stream:
                    tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
                    return tensors, json.loads((stream.metadata() or {}).get("note", "{}"))
            except (OSError, SafetensorError, ValueError):
                continue
        return None

    def drop(self, key: str) -> None:
        """Remove an artifact; one that is not there is as good."""
        self.path(key).unlink(missing_ok=True)


def _sync(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
