"""SparseGPT over a model; its arithmetic on one layer is in test_surgeon."""

from __future__ import annotations

import copy
from types import ModuleType

import pytest
import torch
from smc_pruners import sparsegpt
from smc_pruners._surgeon import prune
from torch import Tensor

from smc_harness.declarations.structure import Block, NofM, Structure
from smc_harness.errors import UsageError
from smc_harness.sparsity.patterns import broken
from tests.pruners.pruning import mask_of, pruned, talk_of
from tests.pruners.stacks import stack_task, text_task
from tests.pruners.test_wanda import blocks_of

UNIFORM = Structure("uniform")


@pytest.mark.parametrize("task", [stack_task, text_task])
def test_each_block_is_pruned_with_the_hessian_of_what_it_reads_then(task: type[ModuleType]) -> None:
    made = task()
    talk, model = talk_of(sparsegpt, structure=UNIFORM, task=made)
    fresh = copy.deepcopy(model).eval()
    mask = mask_of(talk, model.eval(), 0.5)
    for names in blocks_of(talk, fresh):
        hessians = {}
        for name in names:
            read: list[Tensor] = []
            layer = fresh.get_submodule(name.removesuffix(".weight"))
            hook = layer.register_forward_pre_hook(lambda _, inputs, read=read: read.append(inputs[0].flatten(0, -2)))
            with torch.no_grad():
                for batch in talk.pruner.batches("train", 128):
                    talk.pruner.loss(fresh, batch)
            hook.remove()
            hessians[name] = torch.cat(read).t() @ torch.cat(read)
        for name in names:
            weight = fresh.get_parameter(name).data
            matrix = weight.t() if name in talk.turned else weight
            kept = prune(matrix, hessians[name], 0.5, None, talk.pruner.params)
            found = mask[name].t() if name in talk.turned else mask[name]
            assert (found == kept).double().mean() > 0.995  # costs that are equal but for the last bit
            assert torch.allclose(model.get_parameter(name), weight, rtol=1e-2, atol=2e-3)


@pytest.mark.parametrize("task", [stack_task, text_task])
def test_two_of_four_live_along_what_a_layer_reads(task: type[ModuleType]) -> None:
    talk, model = talk_of(sparsegpt, structure=Structure(pattern=NofM(2, 4)), task=task())
    mask = mask_of(talk, model.eval(), 0.5)
    assert broken({name: kept.t() if name in talk.turned else kept for name, kept in mask.items()}, NofM(2, 4)) is None


@pytest.mark.parametrize("structure", [UNIFORM, Structure("erk")])
@pytest.mark.parametrize("owl", [0.0, 0.1])
def test_the_count_is_exact(structure: Structure, owl: float) -> None:
    params = sparsegpt.params(columns=7, owl=owl)
    talk, model = talk_of(sparsegpt, params, structure=structure, task=stack_task())
    mask = mask_of(talk, model.eval(), 0.637)
    assert pruned(mask) == int(0.637 * sum(kept.numel() for kept in mask.values()) + 0.5)


def test_less_is_lost_than_by_zeroing_the_same_weights() -> None:
    made = stack_task()
    talk, model = talk_of(sparsegpt, structure=UNIFORM, task=made)
    dense = copy.deepcopy(model).eval()
    mask = mask_of(talk, model.eval(), 0.6)
    zeroed = copy.deepcopy(dense)
    with torch.no_grad():
        for name, kept in mask.items():
            zeroed.get_parameter(name).mul_(kept)
        batches = [batch["x"] for batch in talk.pruner.batches("train", 320)]
        losses = [sum(float((other(x) - dense(x)).square().sum()) for x in batches) for other in (model, zeroed)]
    assert losses[0] < losses[1]


@pytest.mark.parametrize(
    ("structure", "given", "message"),
    [
        (Structure("rows"), {}, "rows given; allocation=uniform or erk, or a pattern N:M, would work"),
        (Structure("uniform", Block(4, 4)), {}, "uniform 4x4 given; allocation=uniform or erk, or a pattern N:M"),
        (Structure(pattern=NofM(2, 4)), {"columns": 6}, "columns=6 given; a multiple of 4 would work with 2:4"),
        (Structure(pattern=NofM(2, 4)), {"owl": 0.1}, "owl=0.1 given; 2:4 fixes every level"),
    ],
)
def test_what_it_cannot_prune_to_is_refused_before_anything_is_trained(
    structure: Structure, given: dict[str, float], message: str
) -> None:
    talk, _ = talk_of(sparsegpt, sparsegpt.params(**given), structure=structure, task=stack_task())
    with pytest.raises(UsageError, match=message):
        talk.hook.plan(level=0.5, context=talk.pruner)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"columns": 0}, "columns=0 given; a number of at least 1 would work"),
        ({"damping": 0.0}, "damping=0.0 given; a finite number above 0 would work"),
    ],
)
def test_parameters_out_of_range_are_refused(given: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        sparsegpt.params(**given)
