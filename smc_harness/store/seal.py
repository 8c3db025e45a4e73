"""Seals: by which it is known that what is read is what was written, all of it, and under this key."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def of_text(key: str, text: str) -> str:
    """The seal of a text that is kept under a key: 64 hexadecimal digits."""
    return hashlib.sha256(json.dumps([key, text]).encode()).hexdigest()


def of_tensors(key: str, tensors: Mapping[str, Any], note: str) -> str:
    """The seal of tensors, of torch or of numpy, and the note beside them: of each the name, dtype, shape and bytes."""
    names = sorted(tensors)
    kinds = [str(tensors[name].dtype).removeprefix("torch.") for name in names]
    shapes = [list(tensors[name].shape) for name in names]
    found = hashlib.sha256(json.dumps([key, note, names, kinds, shapes]).encode())
    for name in names:
        found.update(_bytes(tensors[name]))
    return found.hexdigest()


def _bytes(tensor: Any) -> Any:
    """The bytes of a contiguous array or of a tensor on the CPU, without a copy."""
    flat = tensor.reshape(-1)
    if hasattr(flat, "numpy"):
        import torch

        return flat.view(torch.uint8).numpy()
    return flat.view("uint8")
