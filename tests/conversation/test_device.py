"""Precision of the forward passes, and the switches that make a GPU repeat itself."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
import torch

from smc_harness import Outcomes, Train, hookimpl
from smc_harness.conversation.device import is_broken, repeatable
from smc_harness.lifecycle.trajectory import Trajectory
from tests.toys import pruner_of

Make = Callable[..., Trajectory]


@pytest.fixture
def seen(toy_module: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, set[Any]]:
    """What the toy's hooks and a pruner met: whether autocast was on, and the type of the model's outputs."""
    found: dict[str, set[Any]] = {}
    loss, evaluate = toy_module.compute_loss, toy_module.evaluate

    def note(where: str, *what: object) -> None:
        found.setdefault(where, set()).add((torch.is_autocast_enabled("cpu"), *what))

    @hookimpl
    def compute_loss(model, batch, context):
        note("loss", model(batch["x"]).dtype)
        return loss(model, batch, context)

    @hookimpl(specname="evaluate")
    def judge(model, split, context):
        note("evaluate", model(next(iter(context.batches(split, 2)))["x"]).dtype)
        outcomes = evaluate(model, split, context)
        return Outcomes(outcomes.values.bfloat16(), predictions=outcomes.predictions)

    @hookimpl
    def aggregate(outcomes):
        note("aggregate", outcomes.values.dtype)
        return float(outcomes.values.double().mean())

    toy_module.compute_loss, toy_module.evaluate, toy_module.aggregate = compute_loss, judge, aggregate
    found["note"] = {note}
    return found


def pruner_that_notes(note: Callable[..., None]) -> Any:
    @hookimpl
    def compute_scores(model, context):
        note("scores", *(parameter.dtype for _, parameter in context.prunable(model)))
        (batch,) = context.batches("train", 8, 8)
        names, weights = zip(*context.prunable(model), strict=True)
        gradients = torch.autograd.grad(context.loss(model, batch), weights)
        note("gradients", *(gradient.dtype for gradient in gradients))
        return dict(zip(names, gradients, strict=True))

    @hookimpl
    def apply_mask(scores, level, context):
        note("mask", *(tensor.dtype for tensor in scores.values()))
        return context.select(scores, level)

    @hookimpl
    def update_mask(model, mask, context):
        note("update", *(parameter.grad.dtype for _, parameter in context.prunable(model)))

    return pruner_of("before", compute_scores=compute_scores, apply_mask=apply_mask, update_mask=update_mask)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_forward_passes_alone_have_the_precision(trajectory: Make, seen: dict[str, Any], precision: str) -> None:
    (note,) = seen.pop("note")
    walk = trajectory(pruner_that_notes(note), precision=precision)
    walk.measure(0.5)
    assert seen.pop("loss") == seen.pop("evaluate") == {(precision == "bfloat16", getattr(torch, precision))}
    assert set(seen) == {"scores", "gradients", "mask", "update", "aggregate"}
    for met in seen.values():
        ((autocast, *dtypes),) = met
        assert not autocast
        assert set(dtypes) == {torch.float32}
    model, now = walk._live()
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert {tensor.dtype for tensor in now.mask.values()} == {torch.bool}


def test_optimiser_state_is_float32(trajectory: Make) -> None:
    walk = trajectory(pruner_of(), precision="bfloat16")
    walk.walk([Train(until=0.5)], None)
    assert {tensor.dtype for tensor in walk._live()[1].optimizer.values()} == {torch.float32}


def test_a_gpu_is_made_to_repeat_itself_and_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    cudnn = torch.backends.cudnn

    def switches() -> tuple[Any, ...]:
        return torch.get_deterministic_debug_mode(), cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32

    before = switches()
    with repeatable("cpu"):
        assert switches() == before
    with repeatable("cuda"):
        assert switches() == (2, True, False, False)
        assert torch.get_float32_matmul_precision() == "highest"
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    assert switches() == before


def test_a_process_without_a_gpu_has_none_to_break() -> None:
    assert not is_broken()
