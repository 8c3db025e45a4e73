"""Tensors on disk, by content key: trained states, scores, outcomes. safetensors only, never pickle."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


class Artifacts:
    """Content-addressed files under one folder. A file is written under another name, synced, and renamed, so that a
    file that exists is whole; writing the same key twice is harmless."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.safetensors"

    def has(self, key: str) -> bool:
        return self.path(key).is_file()

    def save(self, key: str, tensors: Mapping[str, Tensor], note: Mapping[str, Any] | None = None) -> None:
        """tensors: any names. note: JSON values kept beside them."""
        from safetensors.torch import save_file

        path = self.path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{key}.{uuid.uuid4().hex}")
        try:
            contiguous = {name: tensor.detach().contiguous().cpu() for name, tensor in tensors.items()}
            save_file(contiguous, partial, metadata={"note": json.dumps(note or {})})
            with partial.open("rb") as stream:
                os.fsync(stream.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)

    def load(self, key: str) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """The tensors and the note, or None if there is no such artifact or it cannot be read."""
        return self._open(key, "pt")

    def read(self, key: str) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """The same with arrays of numpy, without torch."""
        return self._open(key, "numpy")

    def _open(self, key: str, framework: str) -> tuple[dict[str, Any], dict[str, Any]] | None:
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(self.path(key), framework=framework) as stream:
                tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
                note = json.loads((stream.metadata() or {}).get("note", "{}"))
        except (OSError, SafetensorError, ValueError):
            return None
        return tensors, note

    def drop(self, key: str) -> None:
        """Remove an artifact; one that is not there is as good."""
        self.path(key).unlink(missing_ok=True)
