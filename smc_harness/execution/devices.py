"""Which device a run computes on.

A cell is one process on one device; several GPUs are used by several workers, each of which sees its own alone. What
there is to compute on is found out without torch, so that whatever needs no computation stays quick.
"""

from __future__ import annotations

import ctypes
import os
import platform
import runpy
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import takewhile
from pathlib import Path

from smc_harness.errors import UsageError

VISIBLE = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True)
class Device:
    """kind: `cpu`, `cuda` or `mps`, which enters content keys: one GPU is as good as another.

    gpus: those that the workers share, named as in CUDA_VISIBLE_DEVICES.
    """

    kind: str = "cpu"
    gpus: tuple[str, ...] = ()


def choose(wanted: str, here: bool = True) -> Device:
    """The device for `--device`: `auto`, `cpu`, `cuda` (all visible GPUs), `cuda:N` (one of them) or `mps`.

    `auto` is CUDA where there is a GPU that torch can use, else the CPU; never mps, which has no float64.
    here: whether this machine computes; for others, `cuda` is taken for granted, and which GPU is not chosen here.
    Raises UsageError for what is not there.
    """
    if wanted == "cpu":
        return Device()
    if wanted == "mps":
        if (sys.platform, platform.machine()) != ("darwin", "arm64"):
            raise UsageError("--device mps: this is not a Mac with an Apple chip; --device cpu would work")
        return Device("mps")
    if not here and wanted == "cuda":
        return Device("cuda")
    if not here and wanted != "auto":
        raise UsageError(f"--device {wanted} --dist ray: Ray says which GPU is whose; --device cuda would work")
    try:
        gpus = usable_gpus()
    except UsageError as error:
        if wanted == "auto":
            return Device()
        raise UsageError(f"--device {wanted}: {error}; --device cpu would work") from error
    _, _, index = wanted.partition(":")
    if not index:
        return Device("cuda", gpus)
    if int(index) >= len(gpus):
        known = ", ".join(f"cuda:{number}" for number in range(len(gpus)))
        raise UsageError(f"--device {wanted}: there is no such GPU; {known} would work")
    return Device("cuda", (gpus[int(index)],))


def usable_gpus() -> tuple[str, ...]:
    """The GPUs that torch and the driver can use here and the caller may see. Raises UsageError if there is none."""
    built_for = _cuda_of_torch()
    if built_for is None:
        raise UsageError("the installed torch is built without CUDA")
    present, known = _ask_driver()
    if not present:
        raise UsageError("there is no NVIDIA GPU with a working driver")
    if known // 1000 < int(built_for.partition(".")[0]):  # within one major version every driver serves every build
        raise UsageError(f"the NVIDIA driver knows CUDA up to {known // 1000}, and torch is built for {built_for}")
    if not (gpus := visible(os.environ.get(VISIBLE), present)):
        raise UsageError(f"{VISIBLE}={os.environ[VISIBLE]} leaves no GPU")
    return gpus


def visible(variable: str | None, present: int) -> tuple[str, ...]:
    """The GPUs that CUDA_VISIBLE_DEVICES leaves of those present, by index or identifier.

    As CUDA reads it: the first that does not exist ends the list.
    """
    if variable is None:
        return tuple(str(index) for index in range(present))

    def exists(name: str) -> bool:
        return name.startswith(("GPU-", "MIG-")) or (name.isdecimal() and int(name) < present)

    return tuple(takewhile(exists, (name.strip() for name in variable.split(","))))


def least_used(gpus: Sequence[str], taken: Iterable[str | None]) -> str | None:
    """The GPU with the fewest workers, the first of several; None where there are no GPUs.

    taken: the GPUs of the workers that live. One after another, workers go round all GPUs; one that replaces another
    gets what that one had.
    """
    workers = Counter(taken)
    return min(gpus, key=lambda gpu: workers[gpu], default=None)


def confine(gpu: str | None) -> None:
    """Let this process see one GPU alone, before anything in it starts CUDA; None: leave it as it is.

    Nothing in it, plugins included, can then take memory of another one by mistake.
    """
    if gpu is not None:
        os.environ[VISIBLE] = gpu


def _cuda_of_torch() -> str | None:
    """The CUDA version that torch is built for, such as 12.8; None for a build without."""
    spec = find_spec("torch")
    if spec is None or spec.origin is None:
        return None
    version: str | None = runpy.run_path(str(Path(spec.origin).with_name("version.py"))).get("cuda")
    return version


def _ask_driver() -> tuple[int, int]:
    """How many GPUs there are, and the CUDA version that their driver knows, such as 12080; zeros without a driver.

    Asked through NVML: CUDA itself reads CUDA_VISIBLE_DEVICES but once in the life of a process.
    """
    try:
        nvml = ctypes.CDLL("nvml.dll" if os.name == "nt" else "libnvidia-ml.so.1")
    except OSError:
        return 0, 0
    count, version = ctypes.c_uint(), ctypes.c_int()
    if nvml.nvmlInit_v2():
        return 0, 0
    failed = nvml.nvmlDeviceGetCount_v2(ctypes.byref(count))
    failed = failed or nvml.nvmlSystemGetCudaDriverVersion_v2(ctypes.byref(version))
    nvml.nvmlShutdown()
    return (0, 0) if failed else (count.value, version.value)
