"""What holds for every pruner that is installed and needs to be told nothing, on models made to be awkward.

Ties everywhere, weights that are zero before anything is pruned, a tied tensor, one of a single weight, an empty one.
"""

from __future__ import annotations

import math
import random
from types import ModuleType

import numpy
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from smc_harness import hookimpl
from smc_harness.conversation.conversation import Conversation
from smc_harness.conversation.options import RunOptions
from smc_harness.conversation.scoring import compute_scores
from smc_harness.discovery.catalogue import discover
from smc_harness.discovery.loading import Plugin, load
from tests.pruners.pruning import mask_of, pruned
from tests.toys import plugin, toy_task

INSTALLED = {name: load(locator) for name, locator in sorted(discover().installed["pruner"].items())}
LAYERS = {"llm-compressor", "sparsegpt", "torch-pruning", "wanda"}
"""Those that prune layers of kinds they know, of which this model has none; they have tests of their own."""
PRUNERS = {name: pruner for name, pruner in INSTALLED.items() if not pruner.lacking and name not in LAYERS}
SIZES = {"first": 12, "second": 12, "single": 1, "empty": 0}
TOTAL = sum(SIZES.values())

FEW = st.sampled_from([-1.0, -0.5, 0.0, 0.0, 0.5, 0.5, 1.0])
VALUES = st.lists(FEW, min_size=TOTAL, max_size=TOTAL)
LEVELS = st.floats(min_value=0.0, max_value=0.99)
DTYPES = st.sampled_from([torch.float32, torch.bfloat16, torch.float16])

every_pruner = pytest.mark.parametrize("name", PRUNERS)
awkward = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])


class Awkward(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.ones(3, 4))
        self.dropout = nn.Dropout(0.5)
        self.second = nn.Parameter(torch.ones(2, 6))
        self.again = self.second
        self.single = nn.Parameter(torch.ones(1, 1))
        self.empty = nn.Parameter(torch.ones(0, 5))
        self.bias = nn.Parameter(torch.zeros(2))

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.dropout(torch.tanh(x @ self.first.T))
        wide = torch.cat([hidden, hidden], dim=1)
        return (wide @ self.second.T + wide @ self.again.T) * self.single + self.bias + self.empty.sum()


def awkward_task() -> ModuleType:
    task = toy_task()

    @hookimpl
    def prepare_data(context):
        draw = torch.Generator().manual_seed(7)
        features = torch.randn(96, 4, generator=draw)
        rows = [(x, int(x[0] > 0)) for x in features]
        return {"train": rows, "test": rows}

    @hookimpl
    def compute_loss(model, batch, context):
        return nn.functional.cross_entropy(model(batch["x"].to(model.first.dtype)).double(), batch["y"])

    task.prepare_data, task.compute_loss = prepare_data, compute_loss
    task.prepare_model = hookimpl(lambda context: Awkward())
    return task


TASK = awkward_task()


def talk_of(pruner: Plugin, values: list[float], dtype: torch.dtype, seed: int = 0) -> tuple[Conversation, nn.Module]:
    talk = Conversation(plugin("task", "awkward", TASK), pruner, [], RunOptions(), seed)
    model = talk.build_model().to(dtype)
    pieces = torch.tensor(values, dtype=dtype).split(list(SIZES.values()))
    with torch.no_grad():
        for (_, parameter), piece in zip(talk.prunable(model), pieces, strict=True):
            parameter.copy_(piece.view(parameter.shape))
    return talk, model


def asked(pruner: Plugin, level: float) -> float:
    """The level, or the nearest one that the pruner has."""
    return min(pruner.levels, key=lambda own: abs(own - level)) if pruner.levels else level


def equal(left: dict[str, Tensor], right: dict[str, Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


@every_pruner
@given(values=VALUES, level=LEVELS, dtype=DTYPES)
@awkward
def test_the_number_pruned_is_exact_and_a_tied_tensor_counts_once(name, values, level, dtype) -> None:
    talk, model = talk_of(PRUNERS[name], values, dtype)
    level = asked(PRUNERS[name], level)
    mask = mask_of(talk, model, level)
    assert list(mask) == list(SIZES)
    assert pruned(mask) == math.floor(level * TOTAL + 0.5)


@every_pruner
@given(values=VALUES, level=LEVELS, dead=st.sets(st.integers(0, TOTAL - 1), max_size=8))
@awkward
def test_what_is_dead_counts_and_stays_dead_or_is_replaced(name, values, level, dead) -> None:
    values = [0.0 if place in dead else value for place, value in enumerate(values)]
    talk, model = talk_of(PRUNERS[name], values, torch.float32)
    living = torch.tensor([place not in dead for place in range(TOTAL)])
    pieces = living.split(list(SIZES.values()))
    before = {n: piece.view(p.shape) for (n, p), piece in zip(talk.prunable(model), pieces, strict=True)}
    talk.pruner.mask = before
    level = asked(PRUNERS[name], max(level, math.ceil(len(dead)) / TOTAL))
    mask = mask_of(talk, model, level)
    assert pruned(mask) == max(math.floor(level * TOTAL + 0.5), 0 if name in REGROWING else len(dead))
    if name not in REGROWING:
        assert not any((mask[n] & ~before[n]).any() for n in mask)


REGROWING = {"movement"}
"""Those that may revive a weight when they prune."""


@every_pruner
@given(values=VALUES, dtype=DTYPES)
@awkward
def test_level_0_is_the_identity(name, values, dtype) -> None:
    if PRUNERS[name].levels:
        pytest.skip("it has levels of its own")
    talk, model = talk_of(PRUNERS[name], values, dtype)
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    assert all(bool(kept.all()) for kept in mask_of(talk, model, 0.0).values())
    assert equal(dict(model.state_dict()), before)


@every_pruner
@given(values=VALUES, levels=st.tuples(LEVELS, LEVELS))
@awkward
def test_masks_of_higher_levels_lie_within_those_of_lower_ones_where_it_is_claimed(name, values, levels) -> None:
    if not PRUNERS[name].declared("nested", False):
        return
    low, high = (mask_of(*talk_of(PRUNERS[name], values, torch.float32), level) for level in sorted(levels))
    assert not any((high[key] & ~low[key]).any() for key in low)


def test_only_a_file_that_is_given_must_be_named() -> None:
    assert INSTALLED.keys() - PRUNERS.keys() - LAYERS == {"given"}


def test_nested_masks_are_claimed_by_all_but_those_that_cannot_promise_them() -> None:
    unsure = {name for name, pruner in PRUNERS.items() if not pruner.declared("nested", False)}
    assert unsure == {"magnitude-rigl", "random-rigl", "snip-rigl", "set", "synflow", "torch-prune"}


@every_pruner
@given(values=VALUES, level=LEVELS, dtype=DTYPES, seed=st.integers(0, 3))
@awkward
def test_the_same_seed_gives_the_same_mask(name, values, level, dtype, seed) -> None:
    level = asked(PRUNERS[name], level)
    first, second = (mask_of(*talk_of(PRUNERS[name], values, dtype, seed), level) for _ in range(2))
    assert equal(first, second)


@every_pruner
@given(values=VALUES, dtype=DTYPES, training=st.booleans())
@awkward
def test_scoring_leaves_everything_as_it_was(name, values, dtype, training) -> None:
    talk, model = talk_of(PRUNERS[name], values, dtype)
    model.train(training)
    model.bias.requires_grad_(False)
    marker = model.register_forward_hook(lambda *_: None)
    random.seed(1), numpy.random.seed(1), torch.manual_seed(1)
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    compute_scores(talk, model)
    after = random.random(), float(numpy.random.rand()), float(torch.rand(()))
    random.seed(1), numpy.random.seed(1), torch.manual_seed(1)
    assert after == (random.random(), float(numpy.random.rand()), float(torch.rand(())))
    assert equal(dict(model.state_dict()), before)
    assert all(module.training is training for module in model.modules())
    assert list(model._forward_hooks) == [marker.id]
    assert all(parameter.grad is None for parameter in model.parameters())
    assert [n for n, p in model.named_parameters() if not p.requires_grad] == ["bias"]


@every_pruner
@given(values=VALUES, level=LEVELS, dtype=DTYPES)
@awkward
def test_weights_keep_their_dtype_and_masks_are_bool(name, values, level, dtype) -> None:
    talk, model = talk_of(PRUNERS[name], values, dtype)
    mask = mask_of(talk, model, asked(PRUNERS[name], level))
    assert {tensor.dtype for tensor in mask.values()} == {torch.bool}
    assert {parameter.dtype for parameter in model.parameters()} == {dtype}
    for (key, parameter), kept in zip(talk.prunable(model), mask.values(), strict=True):
        assert kept.shape == parameter.shape, key
        assert bool(parameter.detach()[kept].isfinite().all())
