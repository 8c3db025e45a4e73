"""Everything that a plugin can do to the process it runs in costs its own cell, wherever that process is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.workshop import Ran, Workshop

BROKEN = """
import os, time
from smc_harness import hookimpl

name, phase = "broken", "after"

@hookimpl
def compute_scores(model, context):
    return {{n: p.detach().abs() for n, p in context.prunable(model)}}

def goes_wrong(mask, context):
    print("last words", flush=True)
    {deed}

@hookimpl
def apply_mask(model, scores, level, context):
    mask = context.select(scores, level)
    return (goes_wrong(mask, context) or mask) if level == 0.5 else mask
"""
FAULTS = {
    "raises": ("raise ValueError('on purpose')", "ValueError: on purpose"),
    "not-a-number": ("return context.select({n: m * float('nan') for n, m in mask.items()}, 0.5)", "NaN"),
    "wrong-shape": ("return {n: m[:1] for n, m in mask.items()}", "has shape (1, 6); the parameter's shape (16, 6)"),
    "hangs": ("time.sleep(600)", "took longer than 15 s (--timeout)"),
    "exits": ("os._exit(3)", "the worker process ended with exit code 3 (tried twice)"),
    "segfault": ("os.kill(os.getpid(), 11)", "the worker process was ended by SIGSEGV (tried twice)"),
    "out-of-memory": (
        "os.kill(os.getpid(), 9)",
        "the worker process was ended by SIGKILL (out of memory?) (tried twice)",
    ),
    "full-disk": ("open('/dev/full', 'wb', 0).write(b'x')", "OSError: [Errno 28] No space left on device"),
    "prints-megabytes": ("print('x' * 30_000_000); raise ValueError('loud')", "ValueError: loud"),
}
RUN = ("--collect", "plugins", "--levels", "0.2,0.5,0.8", "--search", "grid", "--timeout", "15")


def values(ran: Ran) -> dict[str, tuple[Any, ...]]:
    return {name: (cell["value"], cell["verdict"], cell["dense"]) for name, cell in ran.cells().items()}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Any, ...]]:
    """What the cells of all three pruners are where nothing goes wrong."""
    workshop = Workshop(tmp_path_factory.mktemp("undisturbed"))
    furnish(workshop, "pass")
    ran = workshop.run(*RUN, "-n", "1")
    assert ran.code == 0, ran.err
    return values(ran)


def furnish(workshop: Workshop, deed: str) -> None:
    workshop.toy()
    workshop.pruner("magnitude-toy", "after")
    workshop.pruner("iterative-toy", "iterative")
    workshop.write("plugins/broken.py", BROKEN.format(deed=deed))


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("workers", ["1", "2", "ray"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_costs_its_own_cell(
    workshop: Workshop,
    undisturbed: dict[str, tuple[Any, ...]],
    fault: str,
    workers: str,
    request: pytest.FixtureRequest,
) -> None:
    if fault == "full-disk" and not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    deed, reason = FAULTS[fault]
    furnish(workshop, deed)
    where = request.getfixturevalue("lasting_cluster").words if workers == "ray" else ("-n", workers)
    ran = workshop.run(*RUN, *where, timeout=600)
    assert ran.code == 6
    found = ran.cells()
    broken = found.pop("toy::broken[0.5,seed0]")
    assert (broken["verdict"], broken["value"]) == ("error", None)
    assert reason in broken["error"]
    assert len(found) == 8
    assert {name: cell for name, cell in values(ran).items() if name in found} == {
        name: undisturbed[name] for name in found
    }
    assert "Traceback" not in ran.err
