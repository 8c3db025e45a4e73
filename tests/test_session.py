"""How many workers a run has."""

from __future__ import annotations

import os

import pytest

from smc_harness.execution.devices import Device
from smc_harness.session import worker_count

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


@pytest.mark.parametrize(
    ("wanted", "device", "workers"),
    [
        ("auto", Device(), CORES),
        ("auto", Device("cuda", ("0", "1", "2")), 3),
        ("auto", Device("mps"), 1),
        ("4", Device("cuda", ("0",)), 4),
        ("0", Device(), 0),
    ],
)
def test_auto_is_one_worker_a_gpu_or_a_core(wanted: str, device: Device, workers: int) -> None:
    assert worker_count(wanted, device) == workers
