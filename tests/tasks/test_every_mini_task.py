"""What every mini task keeps, whatever it is about."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest
import torch

from smc_harness.conversation.conversation import Conversation
from smc_harness.discovery.catalogue import discover
from tests.tasks.conversing import SMALL, converse
from tests.workshop import Ran, our_pruners

MINIS = sorted(name for name in discover().installed["task"] if name.endswith("-mini"))


@pytest.fixture(scope="module", params=MINIS)
def talk(request: pytest.FixtureRequest) -> Conversation:
    return converse(request.param)


def test_there_is_a_small_one_of_each() -> None:
    assert sorted(SMALL) == MINIS


@pytest.mark.parametrize("name", MINIS)
def test_importing_the_declaration_loads_no_torch(name: str) -> None:
    module = discover().installed["task"][name].module
    check = f"import sys, {module}; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True)


def test_all_seeds_see_the_same_data(talk: Conversation) -> None:
    other = converse(talk.task.name, seed=1)
    for split in ("train", "test"):
        assert repr(list(other.data[split])) == repr(list(talk.data[split]))


def test_another_data_seed_gives_other_data(talk: Conversation) -> None:
    other = converse(talk.task.name, data_seed=1)
    assert repr(list(other.data["test"])) != repr(list(talk.data["test"]))


def test_weights_follow_the_seed(talk: Conversation) -> None:
    first, again, other = (dict(converse(talk.task.name, seed).build_model().named_parameters()) for seed in (0, 0, 1))
    matrices = [name for name, parameter in first.items() if parameter.dim() == 2]
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in matrices)


def test_ids_are_unique_and_one_per_example(talk: Conversation) -> None:
    outcomes, _ = talk.evaluate(talk.build_model(), "test")
    assert outcomes.ids is not None
    assert len(set(outcomes.ids)) == len(outcomes.ids) == len(talk.data["test"])


def test_a_test_example_is_scored_the_same_whatever_its_company(talk: Conversation) -> None:
    model = talk.build_model()
    outcomes, _ = talk.evaluate(model, "test")
    few = converse(talk.task.name)
    few._data = {**talk.data, "test": list(talk.data["test"])[:3]}
    assert torch.equal(few.evaluate(model, "test")[0].values, outcomes.values[:3])


def test_every_prunable_tensor_is_a_matrix_that_gets_a_gradient(talk: Conversation) -> None:
    model = talk.build_model()
    talk.loss(model, talk.collate(list(talk.data["train"])[:32])).backward()
    parameters = dict(model.named_parameters())
    for name in talk.hook.prunable(model=model, context=talk.task)["paper"]:
        gradient = parameters[name].grad
        assert parameters[name].dim() == 2
        assert gradient is not None and gradient.abs().sum() > 0, name


def test_presets_are_nested(talk: Conversation) -> None:
    presets = talk.hook.prunable(model=talk.build_model(), context=talk.task)
    backbone, inner, paper = (set(presets[name]) for name in ("backbone", "no-embeddings-no-head", "paper"))
    assert backbone and backbone <= inner <= paper
    assert inner < set(presets.get("all", paper))  # of a language model, `paper` is what all tables prune: the blocks


def test_the_loss_is_the_mean_over_the_examples(talk: Conversation) -> None:
    model = talk.build_model()
    examples = list(talk.data["train"])[:4]
    alone = [talk.loss(model, talk.collate([example])).item() for example in examples]
    assert talk.loss(model, talk.collate(examples)).item() == pytest.approx(sum(alone) / 4, rel=1e-4)


def test_retraining_is_shorter_and_gentler(talk: Conversation) -> None:
    full, short = talk.recipe(retraining=False), talk.recipe(retraining=True)
    assert short.steps == round(full.steps / 5)
    weight = torch.nn.Parameter(torch.zeros(1))
    rates = [recipe.optimizer([{"params": [weight]}]).param_groups[0]["lr"] for recipe in (full, short)]
    assert rates[1] == pytest.approx(rates[0] / 4)


def test_a_model_with_nan_is_an_error_and_not_a_bad_score(talk: Conversation) -> None:
    model = talk.build_model()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(torch.nan)
    with pytest.raises(FloatingPointError, match="not finite"):
        talk.evaluate(model, "test")


def test_in_bfloat16_the_loss_is_nearly_the_same_and_weights_have_float32_gradients(talk: Conversation) -> None:
    low = converse(talk.task.name, precision="bfloat16")
    losses = []
    for one in (talk, low):
        model = one.build_model()
        loss = one.loss(model, one.collate(list(one.data["train"][:16])))
        loss.backward()
        assert loss.dtype == torch.float32
        assert {parameter.grad.dtype for parameter in model.parameters() if parameter.grad is not None} == {loss.dtype}
        losses.append(float(loss.detach()))
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], rel=0.02)
    outcomes, _ = low.evaluate(low.build_model(), "test")
    assert outcomes.values.dtype in (torch.float32, torch.float64)


@pytest.mark.slow
@pytest.mark.parametrize("name", MINIS)
def test_every_pruner_runs_in_bfloat16(command: Callable[..., Ran], name: str) -> None:
    what = (
        "--tasks",
        name,
        "--pruners",
        our_pruners(),
        "--levels",
        "0.5",
        "--precision",
        "bfloat16",
        "--no-dense-check",
    )
    few = ("--set", f"{name}.steps=8", "--set", "synflow.rounds=2", "--set", "obert.gradients=8", "--limit", "100")
    ran = command(*what, *few, "-n", "0")
    assert ran.code == 0, ran.out
