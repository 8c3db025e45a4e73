"""Precision of the forward passes, and the switches that make a GPU repeat itself."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
import torch

from smc_harness import Outcomes, Recipe, Selection, Train, hookimpl
from smc_harness.conversation.device import is_broken, repeatable
from smc_harness.lifecycle.trajectory import Trajectory
from tests.toys import pruner_of

Make = Callable[..., Trajectory]


@hookimpl
def by_size(model, context):
    return {name: parameter.detach().abs() for name, parameter in context.prunable(model)}


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


def test_reported_evaluations_alone_may_have_a_precision_of_their_own(
    trajectory: Make, toy_module: Any, seen: dict[str, set[Any]]
) -> None:
    judge, met = toy_module.evaluate, []

    @hookimpl
    def evaluate(model, split, context):
        met.append((split, torch.is_autocast_enabled("cpu")))
        return judge(model, split, context)

    @hookimpl
    def recipe(context):
        return Recipe(20, 32, lambda groups: torch.optim.SGD(groups, lr=0.01), selection=Selection("valid", 10))

    toy_module.evaluate, toy_module.recipe = evaluate, recipe
    walk = trajectory(pruner_that_notes(*seen["note"]), evaluate_in="bfloat16")
    walk.measure(0.5)
    assert met == [("valid", False), ("valid", False), ("test", True)]
    assert seen["loss"] == {(False, torch.float32)}
    assert {parameter.dtype for parameter in walk._live()[0].parameters()} == {torch.float32}


def test_what_is_trained_does_not_depend_on_how_it_is_evaluated(trajectory: Make) -> None:
    weights = []
    for precision in (None, "bfloat16"):
        walk = trajectory(pruner_of("before", compute_scores=by_size), evaluate_in=precision, store=str(precision))
        walk.measure(0.5)
        weights.append([parameter.detach() for parameter in walk._live()[0].parameters()])
    assert all(torch.equal(one, other) for one, other in zip(*weights, strict=True))


def test_the_dense_model_says_how_far_its_outcomes_agree(trajectory: Make, toy_module: Any) -> None:
    judge = toy_module.evaluate

    @hookimpl
    def evaluate(model, split, context):
        found = judge(model, split, context)
        values = found.values.clone()
        if torch.is_autocast_enabled("cpu"):
            values[:40] = 1 - values[:40]  # as if rounding changed a quarter of the 160 answers
        return Outcomes(values)

    toy_module.evaluate = evaluate
    plain = trajectory(store="plain").measure(None)
    low = trajectory(evaluate_in="bfloat16", store="low").measure(None)
    assert plain.agreement == {}
    assert low.agreement["evaluated_in"] == "bfloat16"
    assert low.agreement["agreement"] == pytest.approx(0.75, abs=0.02)  # real rounding may move an answer or two
    assert low.value - low.agreement["score_difference"] == pytest.approx(plain.value)
    pruned = trajectory(pruner_of("before", compute_scores=by_size), evaluate_in="bfloat16", store="low").measure(0.5)
    assert pruned.agreement == {}


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
