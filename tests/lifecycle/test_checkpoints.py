"""A training that is killed goes on from the end of an epoch, and nothing tells the two runs apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch

from smc_harness import Recipe, Selection, hookimpl
from smc_harness.conversation.options import RunOptions
from smc_harness.discovery.catalogue import discover
from smc_harness.discovery.loading import Plugin, load
from smc_harness.lifecycle import checkpoints, state
from smc_harness.lifecycle.checkpoints import Checkpoint, Checkpoints
from smc_harness.lifecycle.state import State
from smc_harness.lifecycle.trajectory import Trajectory
from smc_harness.store.artifacts import Artifacts
from tests.toys import plugin, toy_task

INSTALLED = {name: load(locator) for name, locator in sorted(discover().installed["pruner"].items())}
# beside the dense model these train nothing that could be killed
IDLE = {"llm-compressor", "magnitude-one-shot", "sparsegpt", "wanda"}
PRUNERS = {name: pruner for name, pruner in INSTALLED.items() if not pruner.lacking and name not in IDLE}
STEPS, EPOCH = 60, 10


class Killed(BaseException):
    """Passes every `except Exception`, as a signal would."""


@pytest.fixture
def always_due(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Checkpoints, "due", True)


@pytest.fixture
def task() -> Iterator[ModuleType]:
    """The toy with 60 steps of six epochs in every training, and a selection. `limit` losses, then it is killed."""
    module = toy_task()
    module.losses, module.limit = 0, None  # type: ignore[attr-defined]
    loss = module.compute_loss

    @hookimpl
    def recipe(context):
        def adam(groups):
            return torch.optim.AdamW(groups, lr=0.02)

        return Recipe(steps=STEPS, batch_size=29, optimizer=adam, clip=1.0, selection=Selection("valid", every=7))

    @hookimpl
    def compute_loss(model, batch, context):
        if module.losses == module.limit:
            raise Killed
        module.losses += model.training
        return loss(model, batch, context)

    module.recipe, module.compute_loss = recipe, compute_loss  # type: ignore[attr-defined]
    return module


Make = Callable[..., Trajectory]


@pytest.fixture
def walk(tmp_path: Path, task: ModuleType) -> Make:
    def make(pruner: Plugin | None, levels: tuple[float, ...], store: str) -> Trajectory:
        toy = plugin("task", "toy", task)
        artifacts = Artifacts(tmp_path / store)
        return Trajectory(toy, pruner, [], RunOptions(), 0, artifacts, lambda *_: None, levels)

    return make


def result(walk: Trajectory, level: float | None):
    """All that a measurement leaves, but what it took."""
    measured = walk.measure(level)
    model, now = walk._live()
    kept = walk.artifacts.load(str(measured.outcomes))
    assert kept is not None
    bits = {name: tensor.clone() for name, tensor in {**state.weights_of(model), "outcomes": kept[0]["values"]}.items()}
    return bits, kept[1], (measured.value, measured.densities, measured.logged, now.history)


def same(left, right) -> bool:
    bits = left[0].keys() == right[0].keys() and all(torch.equal(left[0][name], right[0][name]) for name in left[0])
    return bits and left[1:] == right[1:]


@pytest.mark.usefixtures("always_due")
@pytest.mark.parametrize("name", [None, *PRUNERS])
def test_a_killed_training_goes_on_to_the_same_bits(walk: Make, task: ModuleType, name: str | None) -> None:
    pruner = PRUNERS[name] if name else None
    level = None if pruner is None else pruner.levels[0] if pruner.levels else 0.5
    levels = () if level is None else (level,)
    if pruner is not None:
        walk(None, (), "whole").measure(None)
        walk(None, (), "killed").measure(None)
    task.losses = 0
    whole = result(walk(pruner, levels, "whole"), level)
    losses = task.losses
    task.losses, task.limit = 0, losses - STEPS // 4
    with pytest.raises(Killed):
        walk(pruner, levels, "killed").measure(level)
    task.losses, task.limit = 0, None
    resumed = walk(pruner, levels, "killed")
    assert same(whole, result(resumed, level))
    scoring = losses % STEPS
    assert task.losses <= STEPS // 4 + EPOCH + 2 + scoring


@pytest.mark.usefixtures("always_due")
def test_a_finished_training_leaves_no_checkpoint(walk: Make, task: ModuleType, tmp_path: Path) -> None:
    task.limit = 45
    with pytest.raises(Killed):
        walk(None, (), "store").measure(None)
    names = {path.name for path in (tmp_path / "store").rglob("*.safetensors")}
    task.limit = None
    walk(None, (), "store").measure(None)
    after = {path.name for path in (tmp_path / "store").rglob("*.safetensors")}
    assert len(names - after) == 1


def test_checkpoints_of_a_large_model_take_a_small_share_of_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [100.0]
    monkeypatch.setattr(checkpoints.time, "monotonic", lambda: clock[0])

    class Slow(Artifacts):
        def save(self, *given, **named) -> None:
            clock[0] += 10.0

    kept = Checkpoints(Slow(tmp_path), pause=30.0, share=0.05)
    kept.begin()
    clock[0] += 29.0
    assert not kept.due
    clock[0] += 1.0
    assert kept.due
    kept.save("stage", Checkpoint(State("stage"), 0.0, ({}, {})), torch.nn.Linear(1, 1))
    clock[0] += 199.0
    assert not kept.due
    clock[0] += 1.0
    assert kept.due
