"""Wanda, and the levels that OWL gives to blocks, against what their formulas say of whole runs of the model."""

from __future__ import annotations

from types import ModuleType

import pytest
import torch
from smc_pruners import wanda
from torch import Tensor, nn

from smc_harness.conversation.conversation import Conversation
from smc_harness.declarations.structure import NofM, Structure
from smc_harness.errors import PluginError, UsageError
from smc_harness.sparsity.patterns import broken
from tests.pruners.pruning import mask_of, pruned, talk_of
from tests.pruners.stacks import stack_task, text_task

ROWS = Structure("rows")


def norms(talk: Conversation, model: nn.Module, name: str, examples: int = 128) -> Tensor:
    """The 2-norm of each feature that a layer reads, from whole runs of the model, in float64."""
    read: list[Tensor] = []
    layer = model.get_submodule(name.removesuffix(".weight"))
    hook = layer.register_forward_pre_hook(lambda _, inputs: read.append(inputs[0].flatten(0, -2).double()))
    with torch.no_grad():
        for batch in talk.pruner.batches("train", examples):
            talk.pruner.loss(model, batch)
    hook.remove()
    return torch.cat(read).norm(dim=0)


def by_hand(talk: Conversation, model: nn.Module, blocks: list[list[str]], share: float) -> dict[str, Tensor]:
    """Block by block: the lowest of every output go, and the next block reads what is left."""
    masks = {}
    for names in blocks:
        for name in names:
            weight = model.get_parameter(name).detach()
            turned = name in talk.turned
            matrix = (weight.t() if turned else weight).double()
            scores = matrix.abs() * norms(talk, model, name)
            mask = torch.ones_like(scores, dtype=torch.bool)
            mask.scatter_(1, scores.argsort(dim=1)[:, : round(share * scores.shape[1])], False)
            masks[name] = mask.t() if turned else mask
        with torch.no_grad():
            for name in names:
                model.get_parameter(name).mul_(masks[name])
    return masks


def blocks_of(talk: Conversation, model: nn.Module) -> list[list[str]]:
    names = [name for name, _ in talk.prunable(model)]
    keys = dict.fromkeys(name.rsplit(".", 3)[0] if ".h." in name else ".".join(name.split(".")[:2]) for name in names)
    if any(".h." in name for name in names):
        keys = dict.fromkeys(".".join(name.split(".")[:3]) for name in names)
    return [[name for name in names if name.startswith(f"{key}.")] for key in keys]


@pytest.mark.parametrize("task", [stack_task, text_task])
@pytest.mark.parametrize("level", [0.25, 0.5])
def test_the_lowest_of_every_output_go_block_by_block(task: type[ModuleType], level: float) -> None:
    made = task()
    talk, model = talk_of(wanda, structure=ROWS, task=made)
    mask = mask_of(talk, model.eval(), level)
    again, fresh = talk_of(wanda, structure=ROWS, task=made)
    expected = by_hand(again, fresh.eval(), blocks_of(again, fresh), level)
    assert mask.keys() == expected.keys()
    assert all(torch.equal(mask[name], expected[name]) for name in expected)
    assert all(torch.equal(weight != 0, mask[name]) for name, weight in talk.prunable(model))


@pytest.mark.parametrize("task", [stack_task, text_task])
def test_two_of_four_live_along_what_a_layer_reads(task: type[ModuleType]) -> None:
    talk, model = talk_of(wanda, structure=Structure(pattern=NofM(2, 4)), task=task())
    mask = mask_of(talk, model.eval(), 0.5)
    matrices = {name: kept.t() if name in talk.turned else kept for name, kept in mask.items()}
    assert broken(matrices, NofM(2, 4)) is None and pruned(mask) * 2 == sum(map(torch.numel, mask.values()))


@pytest.mark.parametrize("allocation", ["rows", "uniform", "erk"])
@pytest.mark.parametrize("level", [0.1234, 0.7])
def test_the_count_is_exact_under_every_allocation(allocation: str, level: float) -> None:
    talk, model = talk_of(wanda, structure=Structure(allocation), task=stack_task())
    mask = mask_of(talk, model.eval(), level)
    assert pruned(mask) == int(level * sum(kept.numel() for kept in mask.values()) + 0.5)


def test_one_ranking_of_all_weights_is_refused() -> None:
    talk, model = talk_of(wanda, task=stack_task())
    with pytest.raises(UsageError, match="allocation=global given; it prunes layer by layer: rows, uniform or erk"):
        mask_of(talk, model.eval(), 0.5)


def test_a_layer_that_nothing_reaches_is_named() -> None:
    task = stack_task()
    talk, model = talk_of(wanda, structure=ROWS, task=task)
    model.layers[1].gate.forward = lambda hidden: torch.ones(len(hidden), 24)
    type(model.layers[1]).forward, own = _without_gate, type(model.layers[1]).forward
    try:
        with pytest.raises(PluginError, match="no input reached 'layers.0.gate.weight'"):
            mask_of(talk, model.eval(), 0.5)
    finally:
        type(model.layers[1]).forward = own


def _without_gate(self: nn.Module, hidden: Tensor) -> Tensor:
    return hidden + self.down(torch.relu(self.up(hidden)))


def outlier_shares(talk: Conversation, model: nn.Module, times: float) -> list[float]:
    """Of each block of the dense model, by a plain reading of the paper."""
    found = []
    for names in blocks_of(talk, model):
        scores = torch.cat(
            [(model.get_parameter(name).double().abs() * norms(talk, model, name)).flatten() for name in names]
        )
        found.append(float((scores > times * scores.mean()).double().mean()))
    return found


def test_blocks_with_more_outliers_keep_more() -> None:
    made = stack_task()
    params = wanda.params(owl=0.1, outlier=2.0)
    talk, model = talk_of(wanda, params, structure=ROWS, task=made)
    with torch.no_grad():
        model.layers[1].up.weight[0] *= 30
        model.layers[2].up.weight[:4] *= 3
    model.eval()
    shares = torch.tensor(outlier_shares(talk, model, 2.0), dtype=torch.float64)
    scaled = (shares - shares.min()) / (shares.max() - shares.min()) * 0.2
    expected = scaled - scaled.mean() + 0.4
    mask = mask_of(talk, model, 0.6)
    for names, density in zip(blocks_of(talk, model), expected.tolist(), strict=True):
        kept = sum(int(mask[name].sum()) for name in names)
        assert kept == pytest.approx(density * sum(mask[name].numel() for name in names), abs=len(names))
    assert pruned(mask) == int(0.6 * sum(kept.numel() for kept in mask.values()) + 0.5)


def test_a_block_that_would_keep_less_than_nothing_leaves_the_rest_to_others() -> None:
    params = wanda.params(owl=0.5, outlier=1.5)
    talk, model = talk_of(wanda, params, structure=ROWS, task=stack_task())
    mask = mask_of(talk, model.eval(), 0.95)
    assert pruned(mask) == int(0.95 * sum(kept.numel() for kept in mask.values()) + 0.5)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"examples": 0}, "examples=0 given; a number of at least 1 would work"),
        ({"owl": 0.7}, "owl=0.7 given; a number from 0 to 0.5 would work"),
        ({"outlier": 0.0}, "outlier=0.0 given; a number above 0 would work"),
    ],
)
def test_parameters_out_of_range_are_refused(given: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        wanda.params(**given)


def test_levels_by_outliers_do_not_go_with_a_pattern() -> None:
    talk, _ = talk_of(wanda, wanda.params(owl=0.08), structure=Structure(pattern=NofM(2, 4)), task=stack_task())
    with pytest.raises(UsageError, match=r"owl=0.08 given; 2:4 fixes every level: owl=0 would work"):
        talk.hook.plan(level=0.5, context=talk.pruner)
