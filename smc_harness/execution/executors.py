"""Which executor a run has."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from smc_harness.discovery.loading import Plugin
from smc_harness.errors import UsageError
from smc_harness.execution import shared
from smc_harness.execution.devices import Device
from smc_harness.execution.protocol import Executor
from smc_harness.store.artifacts import Artifacts
from smc_harness.store.identity import environment


def check(options: Namespace) -> None:
    """Raise UsageError for options that cannot go together, or that need what is not installed."""
    if options.dist == "ray":
        if options.n == "0":
            raise UsageError("--dist ray -n 0: Ray's tasks run in processes of their own; leave -n out, or --dist")
        if find_spec("ray") is None:
            raise UsageError("--dist ray: Ray is not installed; python -m pip install 'smc-harness[ray]' would work")
    elif options.ray_address is not None:
        raise UsageError(f"--ray-address {options.ray_address}: nothing runs on Ray; --dist ray would work")
    if options.timeout is not None and options.n == "0":
        raise UsageError(f"--timeout {options.timeout:g} -n 0: only a worker process can be stopped; -n 1 would work")


def executor(options: Namespace, device: Device, plugins: Iterable[Plugin], jobs: int) -> Executor:
    """For so many jobs. plugins: all that will take part. Raises UsageError."""
    from smc_harness.execution.processes import ProcessExecutor
    from smc_harness.execution.serial import SerialExecutor

    store = Path(options.store).resolve()
    if options.dist == "ray":
        from smc_harness.execution.node import Terms
        from smc_harness.execution.ray import MOST, RayExecutor

        slots = MOST if options.n == "auto" else worker_count(options.n, device)
        terms = Terms(environment(), tuple(shared.names(plugins)), options.timeout)
        return RayExecutor(min(slots, jobs), Artifacts(store / "artifacts"), terms, options.ray_address)
    workers = worker_count(options.n, device)
    if not workers:
        return SerialExecutor(device.gpus)
    return ProcessExecutor(min(workers, jobs), store / "logs", device.gpus, shared.names(plugins), options.timeout)


def worker_count(wanted: str, device: Device) -> int:
    """Workers for `-n`: a number, or `auto` for one a GPU, or one a core that this process may use.

    Raises UsageError.
    """
    if wanted == "auto" and device.kind != "cpu":
        return max(1, len(device.gpus))
    if wanted == "auto":
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not wanted.isdecimal():
        raise UsageError(f"-n {wanted}: a number of workers, or auto, would work")
    return int(wanted)
