"""The files of a checkpoint: what is in them, told by their headers, and how one is written anew.

A file of safetensors is a length of 8 bytes, a header in JSON of that length, and the tensors' bytes. A pruned file has
the header of its source, so that everything that is not pruned stays where it was, to the byte.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smc_harness.errors import UsageError, one_line

if TYPE_CHECKING:
    from torch import Tensor

WHOLE, INDEX = "model.safetensors", "model.safetensors.index.json"
_FLOATS = ("F64", "F32", "F16", "BF16")
_LENGTH = 8
_COPIED = 2**24
"""Bytes that are copied at once."""


@dataclass(frozen=True)
class Entry:
    """A tensor of a file. begin, end: where its bytes are in the file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int

    @property
    def is_matrix(self) -> bool:
        return self.dtype in _FLOATS and len(self.shape) == 2


@dataclass(frozen=True)
class Shard:
    """A file. head: its length and its header, as they are. entries: in the order of their bytes."""

    path: Path
    head: bytes
    entries: tuple[Entry, ...]

    def tensors(self, names: set[str]) -> Iterator[tuple[str, Tensor]]:
        """The tensors of these names, mapped from the file: what is read of them can be given back at any time."""
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(self.path, framework="pt") as stream:
                for entry in self.entries:
                    if entry.name in names:
                        yield entry.name, stream.get_tensor(entry.name)
        except (OSError, SafetensorError) as error:
            raise UsageError(f"{self.path}: {one_line(error)}; a whole file would work") from error

    def write(self, target: Path, change: Callable[[str, Tensor], Tensor], names: set[str]) -> None:
        """A file like this one, with `change` made to the tensors of these names. Whole, or not there at all."""
        changed = self.tensors(names)
        partial = target.with_name(f".{target.name}.partial")
        with self.path.open("rb") as source, partial.open("wb") as out:
            out.write(self.head)
            for entry in self.entries:
                if entry.name in names:
                    name, tensor = next(changed)
                    out.write(as_bytes(change(name, tensor)))
                else:
                    _copy(source, entry, out)
            out.flush()
            os.fsync(out.fileno())
        partial.replace(target)


def shards(folder: Path) -> list[Shard]:
    """The files of a checkpoint in the order of their names. Raises UsageError where it is not whole."""
    if (folder / WHOLE).is_file():
        return [_read(folder / WHOLE)]
    if not (folder / INDEX).is_file():
        raise UsageError(
            f"{folder}: neither {WHOLE} nor {INDEX}; the folder that save_pretrained of transformers writes would work"
        )
    try:
        placed: dict[str, str] = json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"]
        names = sorted(set(placed.values()))
        plain = bool(names) and all(Path(name).name == name for name in names)
    except (ValueError, KeyError, TypeError, AttributeError):
        plain = False
    if not plain:
        raise UsageError(f"{folder / INDEX}: no weight_map from tensors to files beside it; a whole index would work")
    found = [_read(folder / name) for name in names]
    there = {entry.name for shard in found for entry in shard.entries}
    if missing := sorted(set(placed) - there):
        raise UsageError(f"{folder / INDEX}: {missing[0]!r} is in none of the files; a whole checkpoint would work")
    return found


def matrices(files: Sequence[Shard], wanted: Callable[[str], bool]) -> list[Entry]:
    """Those with wanted names, in the order of the files. Raises UsageError where there is none."""
    found = [entry for shard in files for entry in shard.entries if entry.is_matrix and wanted(entry.name)]
    if not found:
        raise UsageError(f"{files[0].path.parent}: no matrix in scope; --scope all would take every one")
    return found


def _read(path: Path) -> Shard:
    try:
        with path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            length = int.from_bytes(stream.read(_LENGTH), "little")
            if length > size:
                raise ValueError("its header ends beyond its end")
            head = stream.read(length)
        described: dict[str, Any] = json.loads(head)
        start = _LENGTH + length
        entries = [
            Entry(name, about["dtype"], tuple(about["shape"]), *(start + offset for offset in about["data_offsets"]))
            for name, about in described.items()
            if name != "__metadata__"
        ]
        if max((entry.end for entry in entries), default=start) != size:
            raise ValueError("it is not as long as its header says")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path}: {one_line(error)}; a whole file of safetensors would work") from error
    return Shard(path, length.to_bytes(_LENGTH, "little") + head, tuple(sorted(entries, key=lambda entry: entry.begin)))


def as_bytes(tensor: Tensor) -> Any:
    """The bytes of a tensor in memory, without a copy."""
    import torch

    return tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().data


def _copy(source: Any, entry: Entry, out: Any) -> None:
    source.seek(entry.begin)
    left = entry.end - entry.begin
    while left:
        piece = source.read(min(left, _COPIED))
        out.write(piece)
        left -= len(piece)
