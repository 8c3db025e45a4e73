"""No level's result depends on what was measured before it, in this process or an earlier one."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy
import pytest
import torch
from torch import nn

from smc_harness import Prune, Train, cubic, hookimpl
from smc_harness.errors import PluginError
from smc_harness.lifecycle.trajectory import Trajectory
from tests.toys import pruner_of

Make = Callable[..., Trajectory]


@hookimpl
def magnitude(model, context):
    return {name: parameter.detach().abs() for name, parameter in context.prunable(model)}


def agrees(trajectory: Make, pruner, levels=(0.3, 0.6)) -> bool:
    """Whether the last level gives the same after the others as alone."""
    alone = trajectory(pruner, (levels[-1],), store="alone")
    alone.measure(levels[-1])
    after = trajectory(pruner, levels, store="after")
    for level in levels:
        after.measure(level)
    one, other = (dict(walk._live()[0].named_parameters()) for walk in (alone, after))
    return all(torch.equal(one[name], other[name]) for name in one)


def test_scores_that_apply_mask_changes_in_place(trajectory: Make) -> None:
    @hookimpl
    def apply_mask(scores, level):
        for tensor in scores.values():
            tensor.mul_(torch.linspace(0, 1, tensor.numel()).view(tensor.shape))
        return {name: tensor > tensor.flatten().quantile(level) for name, tensor in scores.items()}

    assert agrees(trajectory, pruner_of("after", compute_scores=magnitude, apply_mask=apply_mask))


def test_state_that_scoring_leaves_for_apply_mask(trajectory: Make) -> None:
    @hookimpl
    def compute_scores(model, context):
        context.state["scale"] = torch.tensor(2.0)
        return magnitude(model, context)

    @hookimpl
    def apply_mask(scores, level, context):
        assert context.state["scale"] == 2.0
        return {name: tensor > tensor.flatten().quantile(level) for name, tensor in scores.items()}

    assert agrees(trajectory, pruner_of("after", compute_scores=compute_scores, apply_mask=apply_mask))


def test_scoring_must_leave_the_weights_alone(trajectory: Make) -> None:
    @hookimpl
    def compute_scores(model, context):
        model[0].weight.data.abs_()
        return magnitude(model, context)

    with pytest.raises(PluginError, match=r"mine: compute_scores changed '0.weight'; leave the model as it was found"):
        trajectory(pruner_of("after", compute_scores=compute_scores)).measure(0.5)


def test_the_cell_s_level_is_hidden_from_apply_mask(trajectory: Make) -> None:
    @hookimpl
    def apply_mask(context):
        return context.level

    with pytest.raises(PluginError, match="use the level that apply_mask receives"):
        trajectory(pruner_of("iterative", compute_scores=magnitude, apply_mask=apply_mask)).measure(0.5)


def test_apply_mask_finds_the_model_in_eval_mode_and_leaves_no_hook(trajectory: Make) -> None:
    modes = []

    @hookimpl
    def apply_mask(model, scores, level):
        modes.append((model.training, len(model[0]._forward_hooks)))
        model[0].register_forward_hook(lambda *_: None)
        return {name: tensor > tensor.flatten().quantile(level) for name, tensor in scores.items()}

    pruner = pruner_of("before", compute_scores=magnitude, apply_mask=apply_mask)
    assert agrees(trajectory, pruner)
    assert set(modes) == {(False, 0)}


def test_draws_from_the_global_generators_and_the_context(trajectory: Make, toy_module) -> None:
    collate = toy_module.collate

    @hookimpl
    def noisy(examples, context):
        batch = collate(examples, context)
        noise = random.random() + numpy.random.rand() + torch.rand(1, generator=context.generator).item()
        return {**batch, "x": batch["x"] + 0.1 * noise}

    toy_module.collate = noisy
    assert agrees(trajectory, pruner_of("before", compute_scores=magnitude))


def test_draws_of_update_mask_after_a_resume(trajectory: Make) -> None:
    @hookimpl
    def plan(level):
        return [Prune(level), Train(until=0.5), Train()]

    @hookimpl
    def update_mask(mask, context):
        if context.step % 10:
            return None
        draw = {name: torch.rand(tensor.shape, generator=context.generator) for name, tensor in mask.items()}
        return {name: tensor | (draw[name] < 0.05) for name, tensor in mask.items()}

    pruner = pruner_of("before", plan=plan, compute_scores=magnitude, update_mask=update_mask)
    first = trajectory(pruner)
    first.measure(0.5)
    resumed = trajectory(pruner)
    assert resumed.measure(0.5).steps == 30
    one, other = (dict(walk._live()[0].named_parameters()) for walk in (first, resumed))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_buffer_that_is_not_saved_with_the_model(trajectory: Make, toy_module) -> None:
    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(6, 2)
            self.register_buffer("calls", torch.zeros(()), persistent=False)

        def forward(self, x):
            self.calls += 1
            return self.linear(x) + 0.01 * self.calls

    toy_module.prepare_model = hookimpl(lambda context: Counting())
    assert agrees(trajectory, pruner_of("after", compute_scores=magnitude))


def test_start_weights_that_vary_are_an_error(trajectory: Make, toy_module) -> None:
    prepare = toy_module.prepare_model
    toy_module.prepare_model = hookimpl(lambda context: prepare(context).apply(_shift))
    trajectory().measure(None)
    with pytest.raises(PluginError, match="prepare_model built another model than it did before"):
        trajectory(pruner_of("before", compute_scores=magnitude)).measure(0.5)


_SHIFTS = iter(range(1, 1000))


def _shift(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        module.weight.data += 0.01 * next(_SHIFTS)


def test_what_is_pruned_stays_pruned_at_a_lower_level_and_under_a_schedule(trajectory: Make) -> None:
    @hookimpl
    def lower(level):
        return [Prune(0.5), Prune(0.2), Train()]

    @hookimpl
    def scheduled(level):
        return [Prune(0.5), Train(prune=cubic(0.8, 0.2, 0.8, 5))]

    counts = []

    @hookimpl
    def recording(model, context):
        counts.append(sum(int((~tensor).sum()) for tensor in (context.mask or {}).values()))
        return magnitude(model, context)

    low = trajectory(pruner_of("before", plan=lower, compute_scores=magnitude), store="a")
    assert low.measure(0.5).realised == 0.5
    high = trajectory(pruner_of("before", plan=scheduled, compute_scores=recording), store="b")
    assert high.measure(0.5).realised == pytest.approx(0.8, abs=0.005)
    assert counts == sorted(counts)


@pytest.mark.parametrize("until", [0.0, 0.5, 1.5, -1.0])
def test_a_plan_that_trains_backwards_or_too_far_is_refused(trajectory: Make, until: float) -> None:
    plan = hookimpl(lambda level: [Train(until=0.5), Prune(level), Train(until=until)])
    with pytest.raises(PluginError, match="in a plan that has trained to 0.5"):
        trajectory(pruner_of("before", plan=plan, compute_scores=magnitude))


def test_a_frozen_prunable_tensor_is_scored_and_stays_frozen(trajectory: Make, toy_module) -> None:
    prepare = toy_module.prepare_model

    @hookimpl
    def frozen(context):
        model = prepare(context)
        model[0].weight.requires_grad_(False)
        return model

    @hookimpl
    def gradients(model, context):
        for batch in context.batches("train", 32):
            context.loss(model, batch).backward()
        return {name: parameter.grad.abs() for name, parameter in context.prunable(model)}

    toy_module.prepare_model = frozen
    walk = trajectory(pruner_of("before", compute_scores=gradients))
    assert walk.measure(0.5).realised == 0.5
    assert not walk._live()[0][0].weight.requires_grad


def test_an_empty_scope_is_measured(trajectory: Make, toy_module) -> None:
    toy_module.prunable = hookimpl(lambda model: {"paper": []})
    assert trajectory(pruner_of("before", compute_scores=magnitude)).measure(0.5).realised == 0.0
