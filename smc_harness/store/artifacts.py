"""Tensors by content key: trained states, scores, outcomes. safetensors only, never pickle; sealed, so that a file that
was cut short or altered is found to be one, and computed again.
"""

from __future__ import annotations

import json
import os
import uuid
import zlib
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smc_harness.errors import StoreError, one_line
from smc_harness.store import results, seal

if TYPE_CHECKING:
    from torch import Tensor

_REMEMBERED = 2
"""Small artifacts that are not read anew: all levels are compared with one dense model."""
Artifact = tuple[dict[str, Any], dict[str, Any]]
"""Tensors, and the note beside them."""


class Artifacts:
    """Content-addressed files under one folder. A file is written under another name, synced, and renamed; writing the
    same key twice is harmless.

    pending: small artifacts that belong to a measurement, by key. Whoever writes that down takes them into the same
    transaction, so that a disk is waited for once; until then they can be read here, and in no other process.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pending: dict[str, bytes] = {}
        self._checked: dict[str, tuple[int, int, int]] = {}
        self._read: dict[tuple[str, str], Artifact] = {}

    def path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.safetensors"

    def has(self, key: str) -> bool:
        return os.path.isfile(f"{self.folder}/{key[:2]}/{key}.safetensors")  # noqa: PTH113  asked several times a cell

    def save(self, key: str, tensors: Mapping[str, Tensor], note: Mapping[str, Any] | None = None) -> None:
        """tensors: any names. note: JSON values kept beside them. Raises StoreError where it cannot be written."""
        from safetensors.torch import save_file

        plain = _plain(tensors)
        self._place(key, lambda path: save_file(plain, path, metadata=_described(key, plain, note)))

    def content(self, key: str) -> bytes | None:
        """The bytes of the file that holds an artifact, or would; None where there is none."""
        try:
            if self.has(key):
                return self.path(key).read_bytes()
        except FileNotFoundError:  # removed since
            return None
        kept = self.pending.get(key) or results.outcomes(self.folder.parent, key)
        try:
            return None if kept is None else zlib.decompress(kept)
        except zlib.error:
            return None

    def take(self, key: str, content: bytes) -> None:
        """Make a file of what `content` of another store gave. Its seal is looked at when it is loaded.

        Raises StoreError where it cannot be written.
        """
        self._place(key, lambda path: path.write_bytes(content))

    def _place(self, key: str, write: Callable[[Path], object]) -> None:
        """Have a file under its name when it is whole. Raises StoreError where it cannot be written."""
        from safetensors import SafetensorError

        path = self.path(key)
        partial = path.with_name(f".{key}.{uuid.uuid4().hex}")
        try:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                write(partial)
                _sync(partial)
                partial.replace(path)
                if os.name == "posix":  # elsewhere a folder cannot be opened
                    _sync(path.parent)
            finally:
                partial.unlink(missing_ok=True)
        except (OSError, SafetensorError) as error:
            raise StoreError(f"{path}: {one_line(error)}; {results.GOES_ON}") from error

    def hand_over(self, key: str, tensors: Mapping[str, Tensor], note: Mapping[str, Any] | None = None) -> None:
        """The same for what is `pending`, to be kept with a measurement."""
        self.pending[key] = pack(key, {name: tensor.numpy() for name, tensor in _plain(tensors).items()}, note)

    def load(self, key: str) -> Artifact | None:
        """The tensors and the note, or None if there is no such artifact, or not as it was written."""
        return self._open(key, "pt")

    def read(self, key: str) -> Artifact | None:
        """The same with arrays of numpy, without torch."""
        return self._open(key, "numpy")

    def _open(self, key: str, framework: str) -> Artifact | None:
        from safetensors import SafetensorError, safe_open

        path = self.path(key)
        try:
            if not self.has(key):
                return self._small(key, framework)
            found = path.stat()
            version = found.st_ino, found.st_size, found.st_mtime_ns
            with safe_open(path, framework=framework) as stream:
                tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
                described = stream.metadata() or {}
            if self._checked.get(key) != version and not _is_sealed(key, tensors, described):
                return None
            self._checked[key] = version
            return tensors, json.loads(described["note"])
        except (OSError, SafetensorError, ValueError, KeyError):
            return None

    def _small(self, key: str, framework: str) -> Artifact | None:
        """What is pending under a key, or was kept with a measurement."""
        if key in self.pending:
            return _unpacked(key, self.pending[key], framework)
        found = self._read.pop((key, framework), None)
        if found is None:
            kept = results.outcomes(self.folder.parent, key)
            if kept is None or (found := _unpacked(key, kept, framework)) is None:
                return None
        self._read[key, framework] = found  # the last of them
        if len(self._read) > _REMEMBERED:
            del self._read[next(iter(self._read))]
        return found

    def drop(self, key: str) -> None:
        """Remove an artifact; one that is not there is as good."""
        self.path(key).unlink(missing_ok=True)


def pack(key: str, arrays: Mapping[str, Any], note: Mapping[str, Any] | None = None) -> bytes:
    """Small arrays of numpy in the form in which they are kept with a measurement."""
    from safetensors.numpy import save

    return zlib.compress(save(dict(arrays), metadata=_described(key, arrays, note)), level=1)


def _plain(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().contiguous().cpu() for name, tensor in tensors.items()}


def _described(key: str, tensors: Mapping[str, Any], note: Mapping[str, Any] | None) -> dict[str, str]:
    text = json.dumps(note or {})
    return {"note": text, "seal": seal.of_tensors(key, tensors, text)}


def _is_sealed(key: str, tensors: Mapping[str, Any], described: Mapping[str, str]) -> bool:
    return described.get("seal") == seal.of_tensors(key, tensors, described.get("note", ""))


def _unpacked(key: str, packed: bytes, framework: str) -> Artifact | None:
    """None where it is not what was packed."""
    from safetensors import SafetensorError

    library = "torch" if framework == "pt" else framework
    load = import_module(f"safetensors.{library}").load
    try:
        content = zlib.decompress(packed)
        # the header, which is JSON behind its length: only files have their metadata read by the library
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        tensors, described = dict(load(content)), header["__metadata__"]
        return (tensors, json.loads(described["note"])) if _is_sealed(key, tensors, described) else None
    except (SafetensorError, ValueError, KeyError, zlib.error):
        return None


def _sync(path: Path) -> None:
    """Have a file, or the names in a folder, on the disk before going on."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
