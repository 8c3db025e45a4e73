"""Which files hold a checkpoint, and how many of its weights are zero: without torch, and in bounded memory."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from smc_harness.errors import UsageError, one_line

_WHOLE, _INDEX = "model.safetensors", "model.safetensors.index.json"
_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
"""Of one number, by the dtype's name in a safetensors header; what is not floating is no weight."""
_CHUNK = 2**22
"""Numbers that are looked at together."""


def weight_files(place: Path) -> tuple[Path, ...]:
    """The safetensors files of a checkpoint: one file, or a folder as `save_pretrained` writes it.

    Raises UsageError where there is none, or only weights in a format that can run code.
    """
    if place.is_file() and place.suffix == ".safetensors":
        return (place,)
    if place.is_file():
        raise UsageError(f"{place}: not a .safetensors file; one, or the folder that holds it, would work")
    if not place.is_dir():
        raise UsageError(f"{place}: no such file or folder; a checkpoint in safetensors would work")
    if (place / _WHOLE).is_file():
        return (place / _WHOLE,)
    if (place / _INDEX).is_file():
        return _shards(place / _INDEX)
    pickled = sorted(file.name for file in place.iterdir() if file.suffix in (".bin", ".pt", ".pth"))
    has = f", and {pickled[0]} is pickled, which is not read" if pickled else ""
    raise UsageError(f"{place}: no {_WHOLE}{has}; the folder that save_pretrained of transformers writes would work")


def _shards(index: Path) -> tuple[Path, ...]:
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        files = tuple(index.parent / name for name in names)
        plain = bool(names) and all(Path(name).name == name for name in names)
    except (ValueError, KeyError, TypeError, AttributeError):
        plain = False
    if not plain:
        raise UsageError(f"{index}: no weight_map from tensors to files beside it; what save_pretrained writes would")
    if missing := [file for file in files if not file.is_file()]:
        raise UsageError(f"{missing[0]}: not there, but {index.name} names it; all {len(files)} files would work")
    return files


def sparsity(files: Sequence[Path]) -> float:
    """Share of exact zeros, -0.0 included, over the floating two-dimensional tensors of the files.

    Raises UsageError for a file that is not whole, and where there is no such tensor.
    """
    counts = [_count(file, (found := file.stat()).st_size, found.st_mtime_ns) for file in files]
    total = sum(weights for _, weights in counts)
    if not total:
        raise UsageError(f"{files[0]}: no two-dimensional tensor of floats; a checkpoint's weights would work")
    return sum(zeros for zeros, _ in counts) / total


@cache
def _count(file: Path, size: int, changed: int) -> tuple[int, int]:
    """(zeros, weights) of a file, which is read once as long as it does not change."""
    import numpy
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="np"):
            pass  # its header fits it: safetensors checks that when it opens a file
    except (SafetensorError, OSError) as error:
        raise UsageError(f"{file}: not a whole safetensors file ({one_line(error)}); a whole one would work") from error
    zeros = weights = 0
    with file.open("rb") as stream:
        (length,) = struct.unpack("<Q", stream.read(8))
        header = json.loads(stream.read(length))
        header.pop("__metadata__", None)
        for tensor in header.values():
            if len(tensor["shape"]) != 2 or tensor["dtype"] not in _BYTES:
                continue
            width, count = _BYTES[tensor["dtype"]], tensor["shape"][0] * tensor["shape"][1]
            stream.seek(8 + length + tensor["data_offsets"][0])
            for start in range(0, count, _CHUNK):
                part = stream.read(width * min(_CHUNK, count - start))
                # bits, since numpy has no bfloat16; the shift drops the sign, so that -0.0 is a zero
                zeros += len(part) // width - int(numpy.count_nonzero(numpy.frombuffer(part, f"<u{width}") << 1))
            weights += count
    return zeros, weights
