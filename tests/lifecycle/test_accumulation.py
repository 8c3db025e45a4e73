"""A step whose gradients are computed in several parts is the step as a whole."""

from __future__ import annotations

from types import ModuleType

import pytest
import torch
from torch import nn

from smc_harness import Recipe, hookimpl
from smc_harness.conversation.options import RunOptions
from smc_harness.discovery.catalogue import discover
from smc_harness.discovery.loading import load
from smc_harness.lifecycle.trajectory import Trajectory
from smc_harness.store.artifacts import Artifacts
from tests.toys import plugin, toy_task

BATCH = 16


@pytest.fixture
def task() -> ModuleType:
    """The toy in float64 and without dropout, which falls otherwise on parts than on the whole."""
    task = toy_task()
    task.micro_batch, task.room = None, None  # type: ignore[attr-defined]
    collate = task.collate

    @hookimpl
    def prepare_model(context):
        # three outputs for two classes: with two, the gradients of their rows are equal but for the sign, and what
        # grows between such ties is decided by rounding
        return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3)).double()

    @hookimpl(specname="collate")
    def in_double(examples, context):
        if task.room is not None and len(examples) > task.room:
            raise torch.OutOfMemoryError(f"{len(examples)} do not fit")
        batch = collate(examples, context)
        return batch | {"x": batch["x"].double()}

    @hookimpl
    def recipe(context):
        def adam(groups):
            return torch.optim.AdamW(groups, lr=0.02)

        return Recipe(steps=40, batch_size=BATCH, optimizer=adam, clip=1.0, micro_batch=task.micro_batch)

    task.prepare_model, task.collate, task.recipe = prepare_model, in_double, recipe  # type: ignore[attr-defined]
    return task


def final(task: ModuleType, pruner: str, folder) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor], dict]:
    toy, own = plugin("task", "toy", task), load(discover().installed["pruner"][pruner])
    walk = Trajectory(toy, own, [], RunOptions(), 0, Artifacts(folder), lambda *_: None, (0.5,))
    measured = walk.measure(0.5)
    model, now = walk._live()
    return {n: p.detach().clone() for n, p in model.named_parameters()}, dict(now.mask or {}), measured.logged


@pytest.mark.parametrize("pruner", ["magnitude-after", "snip", "snip-rigl", "gmp", "movement"])
@pytest.mark.parametrize("size", [1, 4, 5])
def test_masks_are_the_same_and_weights_but_for_rounding(task: ModuleType, tmp_path, pruner: str, size: int) -> None:
    weights, mask, _ = final(task, pruner, tmp_path / "whole")
    task.micro_batch = size
    in_parts, mask_in_parts, _ = final(task, pruner, tmp_path / "parts")
    assert all(torch.equal(mask[name], mask_in_parts[name]) for name in mask)
    for name in weights:
        torch.testing.assert_close(in_parts[name], weights[name], rtol=1e-8, atol=1e-10)


def test_where_memory_runs_out_the_parts_are_halved(task: ModuleType, tmp_path) -> None:
    weights, mask, _ = final(task, "gmp", tmp_path / "whole")

    @hookimpl
    def evaluate(model, split, context):
        from smc_harness import Outcomes

        return Outcomes(torch.tensor(context.outputs(split, 64, lambda batch: [1.0] * len(batch["x"]))))

    task.room, task.evaluate = 5, evaluate
    in_parts, mask_in_parts, logged = final(task, "gmp", tmp_path / "parts")
    assert all(torch.equal(mask[name], mask_in_parts[name]) for name in mask)
    for name in weights:
        torch.testing.assert_close(in_parts[name], weights[name], rtol=1e-8, atol=1e-10)
    assert logged["micro_batch"] == 4


def test_one_example_that_does_not_fit_is_an_error(task: ModuleType, tmp_path) -> None:
    task.room = 0
    with pytest.raises(torch.OutOfMemoryError, match="1 do not fit"):
        final(task, "gmp", tmp_path)
