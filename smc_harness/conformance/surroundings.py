"""What a plugin may not touch: the network, the working directory, the settings of the process."""

from __future__ import annotations

import gc
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy
import torch

from smc_harness.errors import UsageError

_CONNECTING: dict[str, Callable[..., Any]] = {
    "socket.connect": lambda socket, address: address,
    "socket.sendto": lambda socket, address: address,
    "socket.getaddrinfo": lambda host, port, *rest: (host, port),
    "socket.gethostbyname": lambda host: (host,),
}
"""Audit events of Python's sockets, and where to each of them goes."""


_STARTING: dict[str, Callable[..., Any]] = {
    "subprocess.Popen": lambda program, *rest: program,
    "os.system": lambda command: (command.split() or [command])[0],
}
"""Audit events of programs that are started, and which."""


class NetworkError(OSError):
    """The network was asked for where it must not be."""


@dataclass
class Seen:
    """What happened in the surroundings. connections: to where. programs: that were started, whose connections nobody
    sees. files: names of what was written into the working directory.
    """

    connections: list[str] = field(default_factory=list)
    programs: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)


_watching: list[Seen] = []
"""What is being watched, of all threads: a plugin may have its own."""


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    """Refuse connections to other machines while somebody watches; they are noted, also where that is caught."""
    if not _watching:
        return
    seen = _watching[-1]
    if event in _STARTING:
        seen.programs.append(Path(os.fsdecode(_STARTING[event](*arguments))).name)
    if event not in _CONNECTING:
        return
    where = _CONNECTING[event](*arguments)
    if not isinstance(where, tuple):
        return  # the path of a socket of this machine's own
    shown = ":".join(str(part) for part in where[:2] if part is not None)
    seen.connections.append(shown)
    raise NetworkError(f"the network is asked for {shown}")


CHECKING = "SMC_HARNESS_CHECKING"
"""Set in the environment while a check is made, hence in every process that it starts."""


def refuse_nested() -> None:
    """Raise UsageError where a check is being made: one that imports what starts checks would come to no end."""
    if CHECKING in os.environ:
        raise UsageError(
            "importing the plugin starts its checks, while it is being checked; if __name__ == '__main__': before "
            "check_pruner(...) or check_task(...) would work"
        )


_installed: list[bool] = []


@contextmanager
def secluded() -> Iterator[Path]:
    """Another working directory, which is given; the settings of the process are put back in the end.

    It has links to all that is in the old one, so that a path that a parameter names is still there.
    """
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as name, put_back(), chdir(name):
        os.environ[CHECKING] = "1"
        folder = Path(name)
        for item in here.iterdir():
            (folder / item.name).symlink_to(item)
        yield folder


@contextmanager
def watched() -> Iterator[Seen]:
    """Seclusion without a network."""
    if not _installed:  # an audit hook cannot be removed: one serves every watch
        sys.addaudithook(_audit)
        _installed.append(True)
    seen = Seen()
    with secluded() as folder:
        _watching.append(seen)
        try:
            yield seen
        finally:
            _watching.pop()
            seen.files = sorted(path.name for path in folder.iterdir() if not path.is_symlink())


def settings() -> dict[str, Any]:
    """Those of the process that a plugin could change for all others; torch's own notes in the environment left out."""
    return {
        "torch's default dtype": torch.get_default_dtype(),
        "torch's default device": str(torch.get_default_device()),
        "torch's detection of anomalies": torch.is_anomaly_enabled(),
        "torch's number of threads": torch.get_num_threads(),
        "torch's grad mode": torch.is_grad_enabled(),
        "torch's choice of repeatable algorithms": torch.get_deterministic_debug_mode(),
        "torch's precision of matrix products": torch.get_float32_matmul_precision(),
        "numpy's treatment of errors": tuple(sorted(numpy.geterr().items())),
        "the environment": {name: text for name, text in os.environ.items() if not name.startswith("TORCH")},
        "sys.path": list(sys.path),
        "the list of warning filters": list(warnings.filters),
        "the working directory": str(Path.cwd()),
        "standard output": sys.stdout,
        "standard error": sys.stderr,
        "the collection of garbage": gc.isenabled(),
        "the limit of recursion": sys.getrecursionlimit(),
    }


@contextmanager
def put_back() -> Iterator[None]:
    """Leave the settings as they were."""
    before = settings()
    try:
        yield
    finally:
        _restore(before)


def _restore(before: dict[str, Any]) -> None:
    os.chdir(before["the working directory"])
    torch.set_default_dtype(before["torch's default dtype"])
    if str(torch.get_default_device()) != before["torch's default device"]:
        torch.set_default_device(before["torch's default device"])
    torch.autograd.set_detect_anomaly(before["torch's detection of anomalies"])
    torch.set_num_threads(before["torch's number of threads"])
    torch.set_grad_enabled(before["torch's grad mode"])
    torch.set_deterministic_debug_mode(before["torch's choice of repeatable algorithms"])
    torch.set_float32_matmul_precision(before["torch's precision of matrix products"])
    numpy.seterr(**dict(before["numpy's treatment of errors"]))
    for name in [name for name in os.environ if name not in before["the environment"] and name[:5] != "TORCH"]:
        del os.environ[name]
    os.environ.update(before["the environment"])
    sys.path[:] = before["sys.path"]
    warnings.filters[:] = before["the list of warning filters"]  # type: ignore[index]
    sys.stdout, sys.stderr = before["standard output"], before["standard error"]
    (gc.enable if before["the collection of garbage"] else gc.disable)()
    sys.setrecursionlimit(before["the limit of recursion"])
