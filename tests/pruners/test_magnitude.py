from __future__ import annotations

import pytest
import torch
from smc_pruners import gmp, iterative, magnitude

from smc_harness import Prune, Train
from smc_harness.conversation.scoring import compute_scores
from smc_harness.declarations.structure import Structure
from tests.pruners.pruning import mask_of, talk_of


@pytest.mark.parametrize(
    "hooks", [magnitude.after, magnitude.before, gmp.gmp, iterative.lth, iterative.lrr, magnitude.one_shot]
)
def test_scores_are_absolute_values(hooks) -> None:
    talk, model = talk_of(hooks)
    model[3].weight.data = torch.tensor([[-2.0, 1.0, 0.0, -0.5] * 4] * 2)
    assert compute_scores(talk, model)["3.weight"][0, :4].tolist() == [2.0, 1.0, 0.0, 0.5]


def test_the_smallest_weights_go_whatever_their_sign() -> None:
    talk, model = talk_of(magnitude.after)
    model[0].weight.data.fill_(9.0)
    model[3].weight.data = torch.tensor([[-2.0, 1.0, 0.25, -0.5] * 4] * 2)
    mask = mask_of(talk, model, 8 / 128)
    assert mask["3.weight"][0, :4].tolist() == [True, True, False, True]
    assert bool(mask["0.weight"].all())


def test_the_original_drops_every_weight_that_ties_with_the_threshold() -> None:
    talk, model = talk_of(magnitude.after, magnitude.after.params(compat="smc-bench"))
    model[0].weight.data.fill_(1.0)
    model[3].weight.data.fill_(2.0)
    mask = mask_of(talk, model, 0.5)  # the 64th largest of 96 ones and 32 twos is a one
    assert not mask["0.weight"].any() and mask["3.weight"].all()


def test_the_original_prunes_one_weight_too_many() -> None:
    talk, model = talk_of(magnitude.after, magnitude.after.params(compat="smc-bench"))
    mask = mask_of(talk, model, 0.5)
    assert sum(int(kept.sum()) for kept in mask.values()) == 128 // 2 - 1


def test_the_original_leaves_gradients_and_optimiser_state_unmasked() -> None:
    talk, _ = talk_of(magnitude.after, magnitude.after.params(compat="smc-bench"))
    plan = magnitude.after.plan(0.5, talk.pruner)
    assert [stage.dead for stage in plan if isinstance(stage, Train)] == ["unmasked", "unmasked"]
    assert magnitude.after.plan(0.5, talk_of(magnitude.after)[0].pruner) is None


def test_layer_by_layer_each_loses_the_same_share_and_nothing_is_retrained() -> None:
    talk, model = talk_of(magnitude.one_shot, structure=Structure("uniform"))
    model[0].weight.data.fill_(9.0)
    mask = mask_of(talk, model, 0.5)
    assert [int(kept.sum()) for kept in mask.values()] == [48, 16]
    assert magnitude.one_shot.plan(0.5) == [Train(), Prune(0.5)]
