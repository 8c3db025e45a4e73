"""Real worker processes, real deaths."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.workshop import Workshop, all_gone

BROKEN = """
import os, sys
from smc_harness import hookimpl
name, phase = "broken", "after"

@hookimpl
def compute_scores(model, context):
    print("last words", file=sys.stderr, flush=True)
    {deed}
"""


def values(ran) -> dict[str, tuple]:
    keep = ("verdict", "value", "realised", "dense", "n")
    return {cell["id"]: tuple(cell[name] for name in keep) for cell in ran.report["cells"]}


@pytest.fixture
def toys(workshop: Workshop) -> Workshop:
    workshop.toy()
    workshop.pruner("magnitude-toy", "after")
    workshop.pruner("iterative-toy", "iterative")
    return workshop


def test_workers_serial_and_thread_settings_give_the_same_values(
    toys: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = ("--collect", "plugins", "--levels", "0.2,0.5,0.8", "--search", "grid")
    reference = toys.run(*run, "-n", "0", "--store", "a")
    assert reference.code == 0
    for n, threads in (("1", "1"), ("2", "2"), ("2", "")):
        environment = {"OMP_NUM_THREADS": threads} if threads else {}
        if not threads:
            monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
        assert values(toys.run(*run, "-n", n, "--store", f"{n}-{threads}", environment=environment)) == values(
            reference
        )


def test_a_subset_gives_the_same_values(toys: Workshop) -> None:
    run = ("--collect", "plugins", "--levels", "0.2,0.5", "--search", "grid", "-n", "0")
    whole = values(toys.run(*run, "--store", "a"))
    part = values(toys.run(*run, "--store", "b", "-k", "iterative and 0.5"))
    assert len(part) == 1
    assert part.items() <= whole.items()


@pytest.mark.parametrize(
    ("deed", "reason"),
    [
        ("os._exit(3)", "the worker process ended with exit code 3"),
        ("os.kill(os.getpid(), 11)", "the worker process was ended by SIGSEGV"),
        ("raise SystemExit('bye')", "SystemExit: bye"),
        ("raise MemoryError('too much')", "MemoryError: too much"),
    ],
)
def test_a_pruner_that_takes_its_worker_down_costs_its_own_cells(toys: Workshop, deed: str, reason: str) -> None:
    toys.write("plugins/broken.py", BROKEN.format(deed=deed))
    ran = toys.run("--collect", "plugins", "--levels", "0.2,0.5", "-n", "2", "--debug")
    assert ran.code == 6
    cells = ran.cells()
    for level in ("0.2", "0.5"):
        assert cells[f"toy::broken[{level},seed0]"]["verdict"] == "error"
        assert reason in cells[f"toy::broken[{level},seed0]"]["error"]
        assert cells[f"toy::magnitude-toy[{level},seed0]"]["verdict"] in ("pass", "fail")
    assert "last words" in ran.out


def test_what_a_plugin_prints_does_not_reach_the_terminal(toys: Workshop) -> None:
    toys.write("plugins/broken.py", BROKEN.format(deed="return {n: p.detach() for n, p in context.prunable(model)}"))
    ran = toys.run("--collect", "plugins", "--levels", "0.2", "-n", "1")
    assert ran.code == 0
    assert "last words" not in ran.out + ran.err


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
def test_a_killed_run_goes_on_and_leaves_no_worker_behind(toys: Workshop) -> None:
    run = ["--collect", "plugins", "--search", "grid", "-n", "2"]
    undisturbed = toys.run(*run, "--store", "a")
    killed = toys.stop(signal.SIGKILL, 3, *run, "--store", "b")
    assert killed.processes and all_gone(killed.processes)
    resumed = toys.run(*run, "--store", "b")
    assert len(killed.finished) >= 3
    assert values(resumed) == values(undisturbed)
    assert all(resumed.cells()[cell]["cached"] for cell in killed.finished)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
def test_ctrl_c_ends_cleanly_with_what_is_done(toys: Workshop) -> None:
    # many seeds: on a busy machine the signal may come seconds after the second cell
    stopped = toys.stop(signal.SIGINT, 2, "--collect", "plugins", "--search", "grid", "-n", "2", "--seeds", "10")
    assert stopped.code == 2
    assert "interrupted; the same command goes on from here" in stopped.log
    assert "Traceback" not in stopped.log
    assert all_gone(stopped.processes)


def test_a_session_plugin_that_fails_is_named_and_costs_nothing_else(toys: Workshop) -> None:
    toys.write("plugins/nosy.py", '''
        from smc_harness import hookimpl
        name = "nosy"

        @hookimpl
        def cell_finished(result):
            raise RuntimeError("not now")
    ''')  # fmt: skip
    ran = toys.run("--collect", "plugins", "--levels", "0.2,0.5", "-n", "1")
    assert ran.code == 3
    assert ran.err.strip() == "smc-harness: a session plugin failed: RuntimeError: not now"
    assert {cell["verdict"] for cell in ran.report["cells"]} <= {"pass", "fail"}
