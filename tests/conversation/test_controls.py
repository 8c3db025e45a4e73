"""Controls against what they are controls of."""

from __future__ import annotations

import pytest
import torch

from smc_harness import Train, hookimpl
from smc_harness.conversation.conversation import Conversation
from smc_harness.conversation.options import RunOptions
from smc_harness.declarations.structure import NofM, Structure
from smc_harness.discovery.loading import control_of
from smc_harness.sparsity.patterns import broken
from tests.pruners.pruning import mask_of, pruned
from tests.toys import plugin, pruner_of, toy_task


@hookimpl
def only_the_first_layer(model, context):
    """The first tensor goes first."""
    return {n: p.detach().abs() + 10.0 * (n == "3.weight") for n, p in context.prunable(model)}


@hookimpl
def moves_survivors(model, scores, level, context):
    for parameter in model.parameters():
        parameter.mul_(3.0)
    return context.select(scores, level)


@hookimpl
def turns_the_mask_over(model, mask, context):
    return {name: kept.flip(0) for name, kept in mask.items()}


def talk_of(kind: str, hooks, structure: Structure | None = None, seed: int = 0) -> tuple:
    pruner = plugin("pruner", "mine", hooks, None, structure)
    pruner = control_of(pruner, kind) if kind else pruner
    talk = Conversation(plugin("task", "toy", toy_task()), pruner, [], RunOptions(), seed)
    return talk, talk.build_model()


def counts(mask) -> list[int]:
    return [int((~kept).sum()) for kept in mask.values()]


def test_own_ratios_prunes_as_many_of_each_tensor_and_others_of_them() -> None:
    hooks = pruner_of(compute_scores=only_the_first_layer)
    own, control = (mask_of(*talk_of(kind, hooks), 0.5) for kind in ("", "own-ratios"))
    assert counts(own) == counts(control) == [64, 0]
    assert not torch.equal(own["0.weight"], control["0.weight"])


def test_random_prunes_as_many_anywhere() -> None:
    mask = mask_of(*talk_of("random", pruner_of(compute_scores=only_the_first_layer)), 0.5)
    assert pruned(mask) == 64
    assert 8 <= counts(mask)[1] <= 24  # 16 expected of 32


def test_both_draw_again_for_another_seed_and_the_same_for_the_same() -> None:
    for kind in ("random", "own-ratios"):
        hooks = pruner_of(compute_scores=only_the_first_layer)
        first, again, other = (mask_of(*talk_of(kind, hooks, seed=seed), 0.5)["0.weight"] for seed in (0, 0, 1))
        assert torch.equal(first, again) and not torch.equal(first, other)


def test_masks_of_higher_levels_lie_within_those_of_lower_ones() -> None:
    for kind in ("random", "own-ratios"):
        low, high = (
            mask_of(*talk_of(kind, pruner_of(compute_scores=only_the_first_layer)), level) for level in (0.3, 0.6)
        )
        assert not any((high[name] & ~low[name]).any() for name in low)


def test_weights_that_the_pruner_moves_stay_where_they_were() -> None:
    talk, model = talk_of("own-ratios", pruner_of(compute_scores=only_the_first_layer, apply_mask=moves_survivors))
    before = [parameter.detach().clone() for parameter in model.parameters()]
    mask_of(talk, model, 0.5)
    assert all(torch.equal(was, now) for was, now in zip(before, model.parameters(), strict=True))


@pytest.mark.parametrize("kind", ["random", "own-ratios"])
def test_a_pattern_holds_in_the_controls_too(kind: str) -> None:
    structure = Structure(pattern=NofM(2, 4))
    mask = mask_of(*talk_of(kind, pruner_of(compute_scores=only_the_first_layer), structure), 0.5)
    assert broken(mask, NofM(2, 4)) is None
    assert pruned(mask) == pytest.approx(64, abs=16)


@pytest.mark.parametrize("kind", ["random", "own-ratios"])
def test_updates_of_the_mask_are_not_followed(trajectory, kind: str) -> None:
    dynamic = pruner_of("before", compute_scores=only_the_first_layer, update_mask=turns_the_mask_over)
    plain = pruner_of("before", compute_scores=only_the_first_layer)

    def measured(hooks, store):
        walk = trajectory(hooks, store=store)
        walk = type(walk)(
            walk.talk.task_plugin,
            control_of(walk.talk.pruner_plugin, kind),
            [],
            RunOptions(),
            0,
            walk.artifacts,
            walk.progress,
            [0.5],
        )
        return walk.measure(0.5)

    assert measured(dynamic, "a").value == measured(plain, "b").value


def test_the_plan_is_the_pruners_own() -> None:
    from smc_harness.lifecycle.keys import plan_of

    stages = [Train()]
    hooks = pruner_of("during", compute_scores=only_the_first_layer, plan=hookimpl(lambda level: stages))
    talk, _ = talk_of("random", hooks)
    assert plan_of(talk.hook, talk.pruner_plugin, 0.5, talk.pruner) == stages


def test_a_control_has_an_identity_and_a_name_of_its_own() -> None:
    pruner = plugin("pruner", "mine", pruner_of(compute_scores=only_the_first_layer))
    controls = [control_of(pruner, kind) for kind in ("random", "own-ratios")]
    assert [control.name for control in controls] == ["mine~random", "mine~own-ratios"]
    assert len({pruner.identity, *(control.identity for control in controls)}) == 3
