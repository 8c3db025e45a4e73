"""A job on a node of a cluster, without the cluster."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch

from smc_harness import Train
from smc_harness.conversation.options import RunOptions
from smc_harness.discovery.loading import Locator, load
from smc_harness.execution import node
from smc_harness.execution.jobs import Died, Finished, Job, Measured, PluginRef, Started
from smc_harness.execution.node import LOST, Mirror, Terms, Wrote, serve
from smc_harness.lifecycle import keys
from smc_harness.store.artifacts import Artifacts
from smc_harness.store.identity import environment
from tests.workshop import Workshop

HERE = Terms(environment())


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where jobs have their stores."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(node, "TemporaryDirectory", partial(TemporaryDirectory, dir=folder))
    return folder


@pytest.fixture
def dense(workshop: Workshop) -> Callable[[], tuple[Job, str, str]]:
    """The dense job of the toy task, with the keys of its start weights and of its training."""

    def make() -> tuple[Job, str, str]:
        task = load(Locator("task", "toy", "toy", path=str(workshop.toy())))
        root = keys.root(task, RunOptions(), 0)
        (trained,) = keys.chain(root, [Train()], None, None, "paper")
        return Job(PluginRef.of(task), None, (), RunOptions(), 0, "nowhere"), root, trained

    return make


def test_what_a_job_wrote_comes_before_its_number_and_nothing_stays(dense, scratch: Path) -> None:
    job, root, trained = dense()
    said = list(serve(job, [], HERE))
    wrote = [event.key for event in said if isinstance(event, Wrote) and event.content is not None]
    assert set(wrote) == {root, trained}
    kinds = [type(event) for event in said]
    assert kinds.index(Measured) > max(place for place, kind in enumerate(kinds) if kind is Wrote)
    assert (kinds[0], kinds[-1]) == (Started, Finished)
    assert list(scratch.iterdir()) == []


def test_what_a_job_is_given_it_does_not_compute_again(dense, tmp_path: Path) -> None:
    job, _, trained = dense()
    wrote = {event.key: event.content for event in serve(job, [], HERE) if isinstance(event, Wrote)}
    again = list(serve(job, list(wrote.items()), HERE))
    (measured,) = (event for event in again if isinstance(event, Measured))
    assert measured.measurement.steps == 0
    assert [event for event in again if isinstance(event, Wrote)] == []
    # as a store elsewhere has it
    here = Artifacts(tmp_path / "artifacts")
    here.take(trained, wrote[trained])
    assert here.load(trained) is not None


def test_what_was_altered_on_its_way_is_computed_again(dense) -> None:
    job, _, trained = dense()
    wrote = {event.key: event.content for event in serve(job, [], HERE) if isinstance(event, Wrote)}
    (honest,) = (event for event in serve(job, [], HERE) if isinstance(event, Measured))
    altered = bytearray(wrote[trained])
    altered[-3] ^= 4
    again = list(serve(job, [(trained, bytes(altered))], HERE))
    (measured,) = (event for event in again if isinstance(event, Measured))
    assert measured.measurement.steps > 0
    assert measured.measurement.value == honest.measurement.value


def test_another_kind_of_node_is_refused(dense) -> None:
    job, _, _ = dense()
    (said,) = serve(job, [], Terms("another"))
    assert isinstance(said, Died)
    assert said.error == (
        f"node {platform.node()}: another processor, torch, numpy or smc-harness than where the run began; "
        "see docs/explanation/limitations.md#nodes-of-one-type"
    )
    assert said.tries == LOST


def test_a_node_contains_what_a_plugin_does_to_its_process(dense, scratch: Path) -> None:
    job, _, _ = dense()
    Path(job.task.locator.path).write_text("import os; os._exit(3)")
    said = list(serve(job, [], HERE))
    assert [type(event) for event in said] == [Started, Died]
    assert said[-1].error == "the worker process ended with exit code 3"
    assert list(scratch.iterdir()) == []


def test_a_job_that_nobody_listens_to_any_more_leaves_nothing(dense, scratch: Path) -> None:
    job, _, _ = dense()
    said = serve(job, [], HERE)
    assert isinstance(next(said), Started)
    said.close()
    assert list(scratch.iterdir()) == []


def test_a_hanging_job_is_ended_where_it_runs(dense) -> None:
    job, _, _ = dense()
    Path(job.task.locator.path).write_text("import time; time.sleep(60)")
    said = list(serve(job, [], replace(HERE, timeout=0.5)))
    assert (type(said[-1]), said[-1].error) == (Died, "took longer than 0.5 s (--timeout)")


def test_a_mirror_tells_of_each_change_once(tmp_path: Path) -> None:
    artifacts = Artifacts(tmp_path)
    artifacts.save("aa", {"x": torch.zeros(1)})
    mirror = Mirror(tmp_path)
    assert list(mirror.changes()) == []
    artifacts.save("bb", {"x": torch.ones(1)})
    assert list(mirror.changes()) == [Wrote("bb", artifacts.content("bb"))]
    assert list(mirror.changes()) == []
    artifacts.save("bb", {"x": torch.ones(2)})
    artifacts.drop("aa")
    assert list(mirror.changes()) == [Wrote("aa", None), Wrote("bb", artifacts.content("bb"))]
    assert list(mirror.changes()) == []


def test_a_mirror_passes_over_what_is_being_written(tmp_path: Path) -> None:
    mirror = Mirror(tmp_path)
    (tmp_path / "cc").mkdir()
    (tmp_path / "cc" / ".cc.half").write_bytes(b"half")
    assert list(mirror.changes()) == []
