"""Tensors by content key: trained states, scores, outcomes. safetensors only, never pickle."""

from __future__ import annotations

import json
import os
import uuid
import zlib
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smc_harness.store import results

if TYPE_CHECKING:
    from torch import Tensor

Artifact = tuple[dict[str, Any], dict[str, Any]]
"""Tensors, and the note beside them."""


class Artifacts:
    """Content-addressed files under one folder. A file is written under another name, synced, and renamed, so that a
    file that exists is whole; writing the same key twice is harmless.

    pending: small artifacts that belong to a measurement, by key. Whoever writes that down takes them into the same
    transaction, so that a disk is waited for once; until then they can be read here, and in no other process.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pending: dict[str, bytes] = {}
        self._last: tuple[str, str, Artifact] | None = None

    def path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.safetensors"

    def has(self, key: str) -> bool:
        return os.path.isfile(f"{self.folder}/{key[:2]}/{key}.safetensors")  # noqa: PTH113  asked several times a cell

    def save(self, key: str, tensors: Mapping[str, Tensor], note: Mapping[str, Any] | None = None) -> None:
        """tensors: any names. note: JSON values kept beside them."""
        from safetensors.torch import save_file

        path = self.path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{key}.{uuid.uuid4().hex}")
        try:
            save_file(_plain(tensors), partial, metadata=_described(note))
            with partial.open("rb") as stream:
                os.fsync(stream.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)

    def hand_over(self, key: str, tensors: Mapping[str, Tensor], note: Mapping[str, Any] | None = None) -> None:
        """The same for what is `pending`, to be kept with a measurement."""
        from safetensors.numpy import save

        arrays = {name: tensor.numpy() for name, tensor in _plain(tensors).items()}
        self.pending[key] = zlib.compress(save(arrays, metadata=_described(note)), level=1)

    def load(self, key: str) -> Artifact | None:
        """The tensors and the note, or None if there is no such artifact or it cannot be read."""
        return self._open(key, "pt")

    def read(self, key: str) -> Artifact | None:
        """The same with arrays of numpy, without torch."""
        return self._open(key, "numpy")

    def _open(self, key: str, framework: str) -> Artifact | None:
        from safetensors import SafetensorError, safe_open

        try:
            if not self.has(key):
                return self._small(key, framework)
            with safe_open(self.path(key), framework=framework) as stream:
                tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
                return tensors, json.loads((stream.metadata() or {}).get("note", "{}"))
        except (OSError, SafetensorError, ValueError, zlib.error):
            return None

    def _small(self, key: str, framework: str) -> Artifact | None:
        """What is pending under a key, or was kept with a measurement."""
        if key in self.pending:
            return _unpacked(self.pending[key], framework)
        if self._last is None or self._last[:2] != (key, framework):  # all levels are compared with one dense model
            kept = results.outcomes(self.folder.parent, key)
            if kept is None:
                return None
            self._last = key, framework, _unpacked(kept, framework)
        return self._last[2]

    def drop(self, key: str) -> None:
        """Remove an artifact; one that is not there is as good."""
        self.path(key).unlink(missing_ok=True)


def _plain(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().contiguous().cpu() for name, tensor in tensors.items()}


def _described(note: Mapping[str, Any] | None) -> dict[str, str]:
    return {"note": json.dumps(note or {})}


def _unpacked(packed: bytes, framework: str) -> Artifact:
    content = zlib.decompress(packed)
    library = "torch" if framework == "pt" else framework
    load = import_module(f"safetensors.{library}").load
    # the header, which is JSON behind its length: only files have their metadata read by the library
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return dict(load(content)), json.loads(header["__metadata__"]["note"])
