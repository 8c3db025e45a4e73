"""What JSON can say of a value, and files that are whole or not there."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def plain(value: Any) -> Any:
    """What JSON can say of a value: NaN and infinity become null, keys and strange things their text."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | int) else str(value)


def write_whole(path: Path, content: str | bytes) -> None:
    """Under another name first, so that whoever reads the file sees all of it. Raises OSError, and leaves nothing."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


def is_place_for_a_file(path: Path) -> bool:
    """Whether a file may be written there: its folder exists, and it is no folder itself."""
    return not path.is_dir() and path.parent.is_dir()
