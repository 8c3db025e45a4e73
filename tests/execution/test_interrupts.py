"""Ctrl-C, once and twice."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tests.workshop import Workshop, all_gone, children_of, heed_interrupts

STUBBORN = """
from smc_harness import hookimpl
name, phase = "stubborn", "after"

@hookimpl
def compute_scores(model, context):
    import signal, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("deaf", flush=True)
    time.sleep(300)
"""


@pytest.fixture
def run(workshop: Workshop) -> Iterator[subprocess.Popen[str]]:
    """A run whose worker does not end when it is told to."""
    workshop.toy()
    workshop.write("plugins/stubborn.py", STUBBORN)
    process = subprocess.Popen(
        [sys.executable, "-m", "smc_harness", "--collect", "plugins", "-n", "1"],
        cwd=workshop.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=heed_interrupts,
    )
    logs = workshop.folder / ".smc-harness" / "logs"
    while not any("deaf" in log.read_text() for log in logs.glob("*")):
        assert process.poll() is None
        time.sleep(0.1)
    yield process
    process.kill()
    process.communicate()


@pytest.mark.parametrize("interrupts", [1, 2])
def test_an_interrupted_run_ends_with_a_worker_that_will_not_listen(
    run: subprocess.Popen[str], interrupts: int
) -> None:
    workers = children_of(run.pid)
    for _ in range(interrupts):
        run.send_signal(signal.SIGINT)
        time.sleep(0.5)
    # the first waits some seconds for workers to tidy up, a second one does not, and neither for the plugin to end
    out, _ = run.communicate(timeout=60)
    assert run.returncode == 2
    assert "10 not run" in out
    assert "interrupted; the same command goes on from here" in out
    assert "Traceback" not in out
    assert all_gone(workers)
