"""The most memory that was held while something was computed."""

from __future__ import annotations

import re
import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")
_RESET = Path("/proc/self/clear_refs")


def forget(device: str) -> None:
    """Begin anew. Where the system cannot, what comes is the most that the process ever held."""
    if device == "cuda":
        import torch

        torch.cuda.reset_peak_memory_stats()
    elif _RESET.exists():
        try:
            with _RESET.open("wb", buffering=0) as stream:
                stream.write(b"5")  # the kernel's word for the peak alone
        except OSError:
            return


def held(device: str) -> int:
    """Bytes at most since `forget`: of the GPU's memory that tensors took, or of the process's own."""
    if device == "cuda":
        import torch

        return int(torch.cuda.max_memory_allocated())
    if _STATUS.exists() and (found := re.search(r"^VmHWM:\s+(\d+) kB$", _STATUS.read_text(), re.MULTILINE)):
        return int(found[1]) * 1024
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
