"""The manners around compute_scores."""

from __future__ import annotations

import pytest
import torch

from smc_harness import hookimpl
from smc_harness.conversation.conversation import Conversation
from smc_harness.conversation.options import RunOptions
from smc_harness.conversation.scoring import compute_scores
from smc_harness.errors import PluginError
from tests.toys import plugin, pruner_of, toy_task


def conversation(hook) -> Conversation:
    pruner = plugin("pruner", "mine", pruner_of("before", compute_scores=hook))
    return Conversation(plugin("task", "toy", toy_task()), pruner, [], RunOptions(), 0)


def scores_of(hook):
    talk = conversation(hook)
    model = talk.build_model()
    return compute_scores(talk, model), model


def test_mode_gradients_hooks_and_requires_grad_are_restored() -> None:
    @hookimpl
    def untidy(model, context):
        model.train()
        model[0].register_forward_hook(lambda *_: None)
        model[3].weight.requires_grad_(False)
        for batch in context.batches("train", 64):
            context.loss(model, batch).backward()
        return {name: parameter.grad.abs() if parameter.grad is not None else torch.zeros_like(parameter)
                for name, parameter in context.prunable(model)}  # fmt: skip

    _, model = scores_of(untidy)
    assert not model[0]._forward_hooks
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())


def test_global_random_state_is_restored() -> None:
    import random

    import numpy

    @hookimpl
    def drawing(model, context):
        random.random(), numpy.random.rand(), torch.rand(1)
        return {name: torch.rand_like(parameter) for name, parameter in context.prunable(model)}

    talk = conversation(drawing)
    model = talk.build_model()
    before = random.getstate(), numpy.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    first = compute_scores(talk, model)
    after = random.getstate(), numpy.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    assert before == after
    again = compute_scores(talk, model)
    assert torch.equal(first["0.weight"], again["0.weight"])


def test_the_model_is_in_eval_mode_with_gradients_enabled() -> None:
    seen = []

    @hookimpl
    def look(model, context):
        seen.append((model.training, torch.is_grad_enabled(), model[0].weight.grad))
        return {name: parameter.detach() for name, parameter in context.prunable(model)}

    scores_of(look)
    assert seen == [(False, True, None)]


def test_the_level_is_not_to_be_had_while_scoring() -> None:
    @hookimpl
    def peeking(model, context):
        return {"w": context.level}

    with pytest.raises(PluginError, match="scores serve every level"):
        scores_of(peeking)


def test_scores_that_alias_the_weights_are_copied() -> None:
    @hookimpl
    def alias(model, context):
        return {name: parameter.detach() for name, parameter in context.prunable(model)}

    scores, model = scores_of(alias)
    assert scores["0.weight"].data_ptr() != model[0].weight.data_ptr()


def test_batches_are_repeatable_and_of_the_asked_number() -> None:
    seen = []

    @hookimpl
    def look(model, context):
        for _ in range(2):
            seen.append([batch["x"] for batch in context.batches("train", 70)])
        seen.append([batch["x"] for batch in context.batches("train", 400, 400)])
        return {name: parameter.detach() for name, parameter in context.prunable(model)}

    scores_of(look)
    assert [len(x) for x in seen[0]] == [32, 32, 6]
    assert all(torch.equal(a, b) for a, b in zip(seen[0], seen[1], strict=True))
    assert [len(x) for x in seen[2]] == [400]  # more than the split has: drawn again from its start
