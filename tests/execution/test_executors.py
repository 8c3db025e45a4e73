"""Which executor a run has."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from smc_harness.execution import executors
from smc_harness.execution.devices import Device
from smc_harness.execution.executors import worker_count
from tests.workshop import Ran

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


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("--dist ray -n 0", "--dist ray -n 0: Ray's tasks run in processes of their own; leave -n out, or --dist"),
        ("--ray-address auto", "--ray-address auto: nothing runs on Ray; --dist ray would work"),
        ("--timeout 5 -n 0", "--timeout 5 -n 0: only a worker process can be stopped; -n 1 would work"),
    ],
)
def test_options_that_cannot_go_together_are_refused(command: Callable[..., Ran], words: str, error: str) -> None:
    ran = command(*words.split())
    assert (ran.code, ran.err) == (4, f"smc-harness: {error}\n")


def test_without_ray_its_option_says_how_to_get_it(
    command: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executors, "find_spec", lambda name: None)
    ran = command("--dist", "ray")
    assert ran.code == 4
    assert ran.err == (
        "smc-harness: --dist ray: Ray is not installed; python -m pip install 'smc-harness[ray]' would work\n"
    )
