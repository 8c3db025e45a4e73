"""What nodes are sent and asked for, and real clusters of several nodes on this machine."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from smc_harness.cells import Measurement
from smc_harness.conversation.options import RunOptions
from smc_harness.discovery.loading import Locator
from smc_harness.execution.jobs import Job, PluginRef
from smc_harness.execution.ray import needs, useful
from smc_harness.lifecycle.keys import under_way
from smc_harness.store.artifacts import Artifacts
from tests.execution.nodes import Nodes
from tests.workshop import Ran, Workshop, children_of

pytestmark = pytest.mark.timeout(900)

JOB = Job(PluginRef(Locator("task", "t", "t"), {}, "t"), None, (), RunOptions(), 0, "nowhere")
GIBIBYTE = 2**30


def store_with(folder: Path, *keys: str) -> Artifacts:
    artifacts = Artifacts(folder)
    for key in keys:
        artifacts.take(key, b"anything")
    return artifacts


# -- what a job is sent ----------------------------------------------------------------------------------------------


def test_the_furthest_state_of_each_level_and_the_start_weights_are_sent(tmp_path: Path) -> None:
    job = replace(JOB, chains=(("start", "dense", "pruned", "first"), ("start", "dense", "pruned", "second")))
    artifacts = store_with(tmp_path, "start", "dense", "first")
    assert useful(job, artifacts) == (["start", "first", "dense"], [])


def test_a_training_under_way_is_sent_as_far_as_it_came(tmp_path: Path) -> None:
    job = replace(JOB, chains=(("start", "dense", "pruned", "first"),))
    artifacts = store_with(tmp_path, "dense", under_way("first"), under_way("dense"))
    assert useful(job, artifacts) == (["dense"], [under_way("first")])


def test_outcomes_are_sent_to_whoever_may_read_them(tmp_path: Path) -> None:
    assert useful(replace(JOB, read=("outcomes",)), store_with(tmp_path)) == (["outcomes"], [])


# -- what a job asks for ---------------------------------------------------------------------------------------------


def test_a_job_asks_for_its_threads_and_a_gpu_where_it_computes_on_one() -> None:
    assert needs(replace(JOB, options=RunOptions(threads=4)), []) == {"num_cpus": 4}
    assert needs(replace(JOB, options=RunOptions(device="cuda")), []) == {"num_cpus": 1, "num_gpus": 1}


def test_memory_is_what_the_dense_training_took_and_a_quarter_more_but_what_some_node_has() -> None:
    trained = replace(JOB, dense=Measurement(value=1.0, n=1, seconds=1.0, peak_memory=4 * GIBIBYTE))
    nodes = [{"memory": 3.0 * GIBIBYTE}, {"memory": 8.0 * GIBIBYTE}, {"CPU": 1.0}]
    assert needs(trained, nodes)["memory"] == 5 * GIBIBYTE
    assert needs(trained, nodes[:1])["memory"] == 3 * GIBIBYTE


# -- clusters --------------------------------------------------------------------------------------------------------

PATIENCE = 600
"""Seconds for a run: Ray has some ten processes of its own, and other tests run beside it."""
RUN = ("--collect", "plugins", "--levels", "0.2,0.5,0.8", "--search", "grid", "--seeds", "2")


@pytest.fixture
def shop(workshop: Workshop) -> Workshop:
    workshop.toy()
    workshop.pruner("magnitude-toy", "after")
    workshop.pruner("start-toy", "before")
    workshop.pruner("iterative-toy", "iterative")
    return workshop


def values(ran: Ran) -> dict[str, tuple[Any, ...]]:
    kept = ("verdict", "value", "realised", "dense", "outcomes")
    return {name: tuple(cell[field] for field in kept) for name, cell in ran.cells().items()}


@pytest.mark.slow
def test_two_nodes_give_the_values_of_one_machine(shop: Workshop, cluster: Nodes) -> None:
    # controls read what their pruner did, and the verdict reads outcomes
    words = (*RUN, "--controls", "--verdict", "noninferiority")
    here = shop.run(*words, "-n", "2", "--store", "here")
    there = shop.run(*words, *cluster.words, "--store", "there", timeout=PATIENCE)
    assert (there.code, there.err) == (here.code, here.err)
    assert values(there) == values(here)
    states = [sorted(p.name for p in (shop.folder / s / "artifacts").rglob("*.safetensors")) for s in ("here", "there")]
    assert states[0] == states[1] != []
    # and it has the same store: nothing is left to do on any other executor
    again = shop.run(*words, "-n", "1", "--store", "there")
    assert all(cell["cached"] for cell in again.cells().values())


@pytest.mark.slow
def test_a_node_that_is_removed_in_mid_run_costs_nothing(shop: Workshop, cluster: Nodes) -> None:
    undisturbed = shop.run(*RUN, "-n", "1", "--store", "here")
    process = begin(shop, *RUN, *cluster.words, "--json", "there.json")
    assert process.stdout is not None
    while "(dense" not in process.stdout.readline():
        assert process.poll() is None
    cluster.remove()
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    report = json.loads((shop.folder / "there.json").read_text())
    assert values(Ran(0, "", "", report)) == values(undisturbed)


@pytest.mark.slow
def test_a_killed_driver_is_resumed(shop: Workshop, cluster: Nodes) -> None:
    undisturbed = shop.run(*RUN, "-n", "1", "--store", "here")
    stopped = shop.stop(signal.SIGKILL, 2, *RUN, *cluster.words)
    assert 2 <= len(stopped.finished) < 18
    resumed = shop.run(*RUN, *cluster.words, timeout=PATIENCE)
    assert values(resumed) == values(undisturbed)
    cached = {name for name, cell in resumed.cells().items() if cell["cached"]}
    assert set(stopped.finished) <= cached


@pytest.mark.slow
def test_an_interrupt_ends_what_runs_on_the_nodes(shop: Workshop, cluster: Nodes) -> None:
    shop.write(
        "plugins/slow.py",
        """
        from smc_harness import hookimpl
        name, phase = "slow", "after"

        @hookimpl
        def compute_scores(model, context):
            import time
            time.sleep(300)
        """,
    )
    stopped = shop.stop(signal.SIGINT, 3, *RUN, "--seeds", "1", "--pruners", "slow,start-toy", *cluster.words)
    assert stopped.code == 2
    assert "Traceback" not in stopped.log
    deadline = time.monotonic() + 30
    while (left := working(cluster.process.pid)) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert left == []


@pytest.mark.slow
def test_a_cluster_is_started_where_none_is_named(shop: Workshop) -> None:
    ran = shop.run(
        "--collect", "plugins", "--levels", "0.5", "--dist", "ray", environment={"RAY_ADDRESS": ""}, timeout=PATIENCE
    )
    assert (ran.code, ran.err) == (0, "")
    assert len(ran.cells()) == 3


@pytest.mark.slow
def test_an_address_without_a_cluster_is_a_usage_error(shop: Workshop) -> None:
    ran = shop.run(*RUN, "--dist", "ray", "--ray-address", "127.0.0.1:9")
    assert ran.code == 4
    assert ran.err.startswith("smc-harness: --ray-address 127.0.0.1:9: ")
    assert ran.err.endswith("the address of a cluster would work\n")
    assert ran.err.count("\n") == 1


def begin(shop: Workshop, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "smc_harness", *words, "-v"]
    return subprocess.Popen(command, cwd=shop.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def working(pid: int) -> list[str]:
    """Command lines of the workers under a process that do jobs of ours."""
    lines = []
    for child in children_of(pid):
        try:
            line = Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if "multiprocessing" in line:
            lines.append(line)
    return lines
