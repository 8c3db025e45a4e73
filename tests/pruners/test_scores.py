"""The built-in pruners' scores against references that are not their own code."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from smc_pruners import gmp, lth, magnitude, snip
from smc_pruners import random as random_pruners
from torch import nn
from torch.nn.functional import cross_entropy

from smc_harness import Prune, Rewind, Train
from smc_harness.conversation.conversation import Conversation
from smc_harness.conversation.options import RunOptions
from smc_harness.conversation.scoring import compute_scores
from tests.toys import plugin, toy_task


def talk_of(hooks, params=None, seed: int = 0, name: str = "mine") -> tuple[Conversation, nn.Module]:
    talk = Conversation(
        plugin("task", "toy", toy_task()), plugin("pruner", name, hooks, params), [], RunOptions(), seed
    )
    return talk, talk.build_model()


@pytest.mark.parametrize("hooks", [magnitude.after, magnitude.before, gmp, lth])
def test_magnitude_scores_are_absolute_values(hooks) -> None:
    talk, model = talk_of(hooks)
    model[3].weight.data = torch.tensor([[-2.0, 1.0, 0.0, -0.5] * 4] * 2)
    assert compute_scores(talk, model)["3.weight"][0, :4].tolist() == [2.0, 1.0, 0.0, 0.5]


def test_random_scores_follow_the_seed_and_nothing_else() -> None:
    def draw(seed: int) -> torch.Tensor:
        talk, model = talk_of(random_pruners.after, seed=seed)
        model[0].weight.data.fill_(float(seed))
        torch.manual_seed(torch.seed())
        return compute_scores(talk, model)["0.weight"]

    assert torch.equal(draw(0), draw(0))
    assert not torch.equal(draw(0), draw(1))


def test_snip_equals_finite_differences_of_the_loss_in_float64() -> None:
    """|w dL/dw| is the rate at which the loss changes when the weight's factor c leaves 1 (SNIP, eq. 4)."""
    params = snip.Params(batches=3)
    talk, model = talk_of(snip, params)
    scores = compute_scores(talk, model)
    model.eval().double()
    batches = [(batch["x"].double(), batch["y"]) for batch in talk.pruner.batches("train", 3 * 32)]

    def loss_at(name: str, index: tuple[int, int], factor: float) -> float:
        weight = dict(model.named_parameters())[name]
        kept = weight.data[index].item()
        weight.data[index] = kept * factor
        with torch.no_grad():
            total = sum(cross_entropy(model(x), y).item() for x, y in batches)
        weight.data[index] = kept
        return total

    step = 1e-6
    for name, index in [("0.weight", (0, 0)), ("0.weight", (7, 3)), ("3.weight", (1, 5)), ("3.weight", (0, 15))]:
        slope = (loss_at(name, index, 1 + step) - loss_at(name, index, 1 - step)) / (2 * step)
        assert scores[name][index].item() == pytest.approx(abs(slope), rel=1e-3, abs=1e-6)


def test_snip_gives_a_tensor_outside_the_graph_a_score_of_zero() -> None:
    talk, model = talk_of(snip, snip.Params(batches=1))
    model.register_parameter("unused", nn.Parameter(torch.ones(2, 2)))
    talk._names.append("unused")
    assert compute_scores(talk, model)["unused"].tolist() == [[0.0, 0.0], [0.0, 0.0]]


def test_snip_reads_as_many_batches_as_it_is_told() -> None:
    talk, model = talk_of(snip, snip.Params(batches=2))
    lengths = []
    collate = talk.collate
    talk.collate = lambda examples: lengths.append(len(examples)) or collate(examples)
    compute_scores(talk, model)
    assert lengths == [32, 32]


def test_gmp_trains_once_under_its_schedule() -> None:
    (stage,) = gmp.plan(0.8, SimpleNamespace(params=gmp.Params(start=0.2, end=0.7, updates=5)))
    assert isinstance(stage, Train) and stage.until == 1.0
    assert [stage.prune(fraction) for fraction in (0.0, 0.19, 0.7, 1.0)] == [0.0, 0.0, 0.8, 0.8]


def test_lth_prunes_a_fifth_of_the_rest_in_every_round_and_rewinds_to_the_start() -> None:
    plan = lth.plan(0.488, SimpleNamespace(params=lth.Params()))
    levels = [stage.level for stage in plan if isinstance(stage, Prune)]
    assert levels == [pytest.approx(1 - 0.8**k) for k in (1, 2, 3)]
    assert [stage for stage in plan if isinstance(stage, Rewind)] == [Rewind(0.0)] * 3
    assert plan[-1] == Train()
