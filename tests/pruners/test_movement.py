"""Movement pruning against a plain loop over its equations."""

from __future__ import annotations

from types import ModuleType

import pytest
import torch
from smc_pruners import movement
from smc_pruners._schedule import CubicParams

from smc_harness import Recipe, cubic, hookimpl
from smc_harness.conversation.scoring import compute_scores
from tests.pruners.pruning import talk_of

STEPS, LEVEL = 24, 0.5


def quadratic(module: ModuleType) -> ModuleType:
    """The toy task with a linear model, plain gradient descent, full batches and a quadratic loss."""

    @hookimpl
    def prepare_model(context):
        return torch.nn.Linear(6, 2, bias=False)

    @hookimpl
    def recipe(context):
        return Recipe(STEPS, 320, lambda groups: torch.optim.SGD(groups, lr=0.05))

    @hookimpl
    def compute_loss(model, batch, context):
        target = torch.stack([batch["x"][:, 0] - batch["x"][:, 1], 0.3 * batch["x"][:, 2]], dim=1)
        return ((model(batch["x"]) - target) ** 2).mean()

    module.prepare_model, module.recipe, module.compute_loss = prepare_model, recipe, compute_loss
    return module


def by_hand(weight: torch.Tensor, features: torch.Tensor, params: CubicParams) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights, their mask and scores updated as in section 3 of the paper, in float64."""
    full, mask, scores = weight.double().clone(), torch.ones(2, 6).double(), torch.zeros(2, 6).double()
    target = torch.stack([features[:, 0] - features[:, 1], 0.3 * features[:, 2]], dim=1)
    schedule = cubic(LEVEL, params.start, params.end, params.updates)
    before = 0.0
    for step in range(STEPS + 1):
        level = schedule(step / STEPS)
        if level > before:
            before, count = level, int(level * 12 + 0.5)
            mask = torch.ones(12).double()
            mask[scores.flatten().argsort()[:count]] = 0.0
            mask = mask.view(2, 6)
        if step == STEPS:
            break
        seen = full * mask
        gradient = 2 * (features @ seen.T - target).T @ features / target.numel()
        scores -= gradient * full
        full -= 0.05 * gradient * mask
    return full * mask, mask


@pytest.mark.parametrize("params", [CubicParams(updates=3), CubicParams(updates=10), CubicParams(0.3, 0.6, 4)])
def test_a_whole_training_equals_the_equations_of_the_paper(trajectory, toy_module, params: CubicParams) -> None:
    walk = trajectory(movement, [LEVEL], task=quadratic(toy_module), params=params)
    walk._start()
    start = walk._model.weight.detach().clone()
    features = torch.stack([x for x, _ in walk.talk.data["train"]]).double()
    walk.walk(walk.plan(LEVEL), LEVEL)
    model, now = walk._live()
    weight, mask = by_hand(start, features, params)
    assert torch.equal(now.mask["weight"], mask.bool())
    assert torch.allclose(model.weight.double(), weight, atol=1e-5)


def test_scores_are_zero_before_anything_moved() -> None:
    talk, model = talk_of(movement)
    assert not any(scores.any() for scores in compute_scores(talk, model).values())
