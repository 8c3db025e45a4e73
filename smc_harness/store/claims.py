"""Who computes what, among the sessions that share a store.

A claim is a lock of the operating system on one byte of a file, whose place in it is the key. Nothing is written: the
claims of a session end with its process, however that ends, and there is nothing to go stale or to clean up. Where the
system has no such locks, nothing is claimed: work may then be done twice, and the first result stays.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

FILE = "claims"
_DIGITS = 15
"""Of a key, hexadecimal, which make a place below 2**60."""
_USED = 2**60
"""The place that every session shares while it uses the store."""


class Claims:
    """Those of this process. A process must have no more than one such object of a store at a time: closing one file
    gives up all its locks.
    """

    def __init__(self, folder: Path) -> None:
        self._file = (folder / FILE).open("a+b")
        _lock(self._file, _USED, shared=True)

    def take(self, keys: Iterable[str]) -> bool:
        """Claim all of these, or none where another session has any of them."""
        taken: list[str] = []
        for key in keys:
            if not _lock(self._file, _place(key)):
                self.release(taken)
                return False
            taken.append(key)
        return True

    def release(self, keys: Iterable[str]) -> None:
        for key in keys:
            if fcntl is not None:
                fcntl.lockf(self._file, fcntl.LOCK_UN, 1, _place(key))

    def close(self) -> None:
        self._file.close()


def in_use(folder: Path) -> bool:
    """Whether another process has claims open on this store."""
    if not (folder / FILE).is_file():
        return False
    with (folder / FILE).open("a+b") as file:
        return not _lock(file, _USED)


def _lock(file: BinaryIO, place: int, shared: bool = False) -> bool:
    """Whether the lock is had: none is where another process has one that does not go with it."""
    if fcntl is None:
        return True
    try:
        fcntl.lockf(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB, 1, place)
    except OSError as error:
        return error.errno not in (errno.EAGAIN, errno.EACCES)  # else a file system without locks
    return True


def _place(key: str) -> int:
    return int(key[:_DIGITS], 16)
