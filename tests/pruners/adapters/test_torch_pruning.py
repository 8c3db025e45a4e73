"""The reference is the library's own pruner, which makes a copy of the same model smaller."""

from __future__ import annotations

import copy
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from smc_pruners.adapters import torch_pruning
from smc_pruners.adapters.torch_pruning import Params
from torch import Tensor, nn

from smc_harness.conversation.conversation import Conversation
from smc_harness.conversation.options import RunOptions
from smc_harness.conversation.scoring import compute_scores
from smc_harness.discovery.catalogue import discover
from smc_harness.discovery.loading import load
from smc_harness.errors import PluginError, UsageError
from tests.pruners.adapters.models import TASKS
from tests.pruners.pruning import mask_of, pruned, talk_of
from tests.toys import plugin
from tests.workshop import Workshop

library = pytest.importorskip("torch_pruning", reason="Torch-Pruning is an extra; the development group installs it")

# not Llama, whose rotary embeddings the library cannot follow
OUTPUT = {"perceptron": "4", "convolutions": "head", "bert": "model.classifier"}
every_model = pytest.mark.parametrize("model", OUTPUT)
IMPORTANCES = [
    *("MagnitudeImportance", "LAMPImportance", "FPGMImportance", "RandomImportance"),
    *("TaylorImportance", "HessianImportance", "ActivationImportance"),
]
CASES = [(model, importance) for model in OUTPUT for importance in IMPORTANCES]
# where channels are flattened, the library takes every place for a channel of its own, and removes none of them
CASES.remove(("convolutions", "ActivationImportance"))


def asked(
    task: str, params: Params | None = None, dtype: torch.dtype = torch.float32
) -> tuple[Conversation, nn.Module]:
    return talk_of(torch_pruning, params or Params(), task=TASKS[task](dtype=dtype))


def shown(importance: Any, talk: Conversation, model: nn.Module, batches: int) -> None:
    """Gradients and activations, as the library's documentation obtains them."""
    given = list(talk.pruner.batches("train", batches * talk.batch_size))
    if isinstance(importance, library.importance.HessianImportance):
        for batch in talk.pruner.batches("train", batches * talk.batch_size, 1):
            model.zero_grad()
            talk.pruner.loss(model, batch).backward()
            importance.accumulate_grad(model)
    elif isinstance(importance, library.importance.TaylorImportance):
        for batch in given:
            talk.pruner.loss(model, batch).backward()
    elif isinstance(importance, library.importance.ActivationImportance):
        with torch.no_grad(), importance.compute_importance(model):
            for batch in given:
                talk.pruner.loss(model, batch)


def by_the_library(
    talk: Conversation, model: nn.Module, output: str, ratio: float, params: Params | None = None, **arguments: Any
) -> tuple[dict[str, Tensor], nn.Module]:
    """(what is left of the scope, the smaller model) after the library's pruner has removed a share of the channels.

    What is left is read off a second copy, whose weights are numbered before anything is removed.
    """
    params = params or Params()
    smaller, numbered = copy.deepcopy(model), copy.deepcopy(model)
    importance = getattr(library.importance, params.importance)(**arguments)
    (batch,) = talk.pruner.batches("train", talk.batch_size)
    with talk.seeded(talk.pruner, "scores"):
        shown(importance, talk, smaller.eval(), params.batches)
        pruner = library.pruner.BasePruner(
            smaller,
            batch,
            importance,
            pruning_ratio=ratio,
            global_pruning=params.global_pruning,
            ignored_layers=[smaller.get_submodule(output)],
            forward_fn=talk.pruner.loss,
        )
        pruner.step()
    parameters = dict(numbered.named_parameters())
    with torch.no_grad():
        for name, _ in talk.prunable(model):
            parameters[name].copy_(torch.arange(parameters[name].numel()).view_as(parameters[name]))
    library.DependencyGraph().build_dependency(
        numbered, batch, forward_fn=talk.pruner.loss, ignored_layers=None
    ).load_pruning_history(list(pruner.pruning_history()))
    left = {}
    for name, parameter in talk.prunable(model):
        mask = torch.zeros(parameter.numel(), dtype=torch.bool)
        mask[numbered.get_parameter(name).detach().flatten().long()] = True
        left[name] = mask.view(parameter.shape)
    return left, smaller


def equal(left: dict[str, Tensor], right: dict[str, Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def level_of(mask: dict[str, Tensor]) -> float:
    return pruned(mask) / sum(tensor.numel() for tensor in mask.values())


@pytest.mark.parametrize(("model", "importance"), CASES)
@pytest.mark.parametrize("ratio", [0.125, 0.25, 0.5])
@pytest.mark.parametrize("together", [True, False])
def test_equals_what_the_librarys_pruner_removes(model: str, importance: str, together: bool, ratio: float) -> None:
    params = Params(importance, global_pruning=together, batches=2)
    talk, own = asked(model, params)
    left, _ = by_the_library(talk, own, OUTPUT[model], ratio, params)
    assert 0.0 < level_of(left) < 1.0
    assert equal(mask_of(talk, own, level_of(left)), left)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_equals_the_library_in_half_precision(dtype: torch.dtype) -> None:
    talk, own = asked("perceptron", dtype=dtype)
    left, _ = by_the_library(talk, own, OUTPUT["perceptron"], 0.25)
    assert equal(mask_of(talk, own, level_of(left)), left)


@pytest.mark.parametrize("model", ["perceptron", "convolutions"])
def test_a_masked_model_computes_what_the_librarys_smaller_one_does(model: str) -> None:
    talk, own = asked(model)
    left, smaller = by_the_library(talk, own, OUTPUT[model], 0.25)
    assert sum(p.numel() for p in smaller.parameters()) < sum(p.numel() for p in own.parameters())
    mask = mask_of(talk, own, level_of(left))
    (batch,) = talk.pruner.batches("train", 8, 8)
    with torch.no_grad():
        for name, parameter in talk.prunable(own):
            parameter.masked_fill_(~mask[name], 0.0)
        torch.testing.assert_close(own.eval()(batch["x"]), smaller.eval()(batch["x"]))


@every_model
@pytest.mark.parametrize("level", [0.0, 0.2, 0.36, 0.5, 0.672])
def test_between_whole_channels_the_count_is_exact_and_one_channel_goes_in_part(level: float, model: str) -> None:
    talk, own = asked(model)
    mask = mask_of(talk, own, level)
    total = sum(tensor.numel() for tensor in mask.values())
    assert pruned(mask) == math.floor(level * total + 0.5)
    scores = compute_scores(talk, own)
    partly = {
        value
        for name, tensor in mask.items()
        for value in set(scores[name][tensor].tolist()) & set(scores[name][~tensor].tolist())
    }
    assert len(partly) <= 1


def test_masks_of_higher_levels_lie_within_those_of_lower_ones() -> None:
    talk, own = asked("bert")
    found = [mask_of(talk, own, level) for level in (0.2, 0.5, 0.8)]
    for low, high in pairwise(found):
        assert not any((high[name] & ~low[name]).any() for name in low)


def test_repeated_pruning_removes_what_the_library_removes_in_steps() -> None:
    """The library prunes its smaller model again; here the same channels go under the mask so far."""
    talk, own = asked("perceptron", Params(arguments="normalizer=None"))
    first, _ = by_the_library(talk, own, "4", 0.25, normalizer=None)
    with torch.no_grad():
        for name, parameter in talk.prunable(own):
            parameter.masked_fill_(~first[name], 0.0)
    talk.pruner.mask = first
    # a channel of zeros matters least, so that the dead ones are the first of those which the library removes now
    both, _ = by_the_library(talk, own, "4", 0.5, normalizer=None)
    assert not any((both[name] & ~first[name]).any() for name in both)
    assert pruned(both) > pruned(first)
    assert equal(mask_of(talk, own, level_of(both)), both)


def test_channels_that_nobody_reads_are_kept() -> None:
    talk, own = asked("perceptron")
    mask = mask_of(talk, own, 0.7)
    assert mask["4.weight"].any(1).all()


def test_a_level_beyond_the_channels_prunes_the_rest_by_magnitude() -> None:
    talk, own = asked("perceptron")
    mask = mask_of(talk, own, 0.99)
    share = talk.pruner.logged["share in channels"]
    assert 0.9 < share < 0.98
    channels = mask_of(talk, own, share)
    rest = torch.cat([parameter.detach().abs()[channels[name]] for name, parameter in talk.prunable(own)])
    kept = torch.cat([mask[name][channels[name]] for name in mask])
    assert pruned(mask) == 396
    assert rest[~kept].max() <= rest[kept].min()


def test_every_layer_keeps_a_channel_while_others_may_go() -> None:
    talk, own = asked("bert")
    compute_scores(talk, own)
    mask = mask_of(talk, own, talk.pruner.logged["share in channels"])
    assert all(tensor.any() for tensor in mask.values())


def test_the_model_is_left_as_it_was() -> None:
    talk, own = asked("bert", Params("ActivationImportance"))
    before = [(path, sorted(vars(module))) for path, module in own.named_modules()]
    compute_scores(talk, own)
    assert [(path, sorted(vars(module))) for path, module in own.named_modules()] == before


def test_a_scope_of_some_layers_gets_the_channels_of_these() -> None:
    task = TASKS["perceptron"](wanted=lambda key, weight: key == "2.weight")
    talk, own = talk_of(torch_pruning, Params(), task=task)
    mask = mask_of(talk, own, 0.5)
    assert {name: int(tensor.sum()) for name, tensor in mask.items()} == {"2.weight": 128}
    whole = [*mask["2.weight"].any(0), *mask["2.weight"].any(1)]
    assert sum(map(bool, whole)) < 32


def test_a_model_that_the_library_cannot_trace_is_an_error_that_says_so() -> None:
    """Tree decoders join and split along other dimensions than channels."""
    task = load(discover().installed["task"]["arithmetic-mini"])
    talk = Conversation(task, plugin("pruner", "mine", torch_pruning, Params()), [], RunOptions(), 0)
    with pytest.raises(PluginError, match="mine: Torch-Pruning cannot trace this model: TypeError: .*"):
        compute_scores(talk, talk.build_model())


def test_a_search_of_the_library_that_would_not_end_is_ended() -> None:
    with pytest.raises(PluginError, match="mine: Torch-Pruning's search for the groups of this model does not end"):
        compute_scores(*asked("llama"))


@pytest.mark.parametrize("name", ["commonsense-mini", "protein-mini", "translation-mini"])
def test_every_matrix_of_the_mini_transformers_has_channels_that_may_go(name: str) -> None:
    task = load(discover().installed["task"][name])
    talk = Conversation(task, plugin("pruner", "mine", torch_pruning, Params()), [], RunOptions(), 0)
    model = talk.build_model()
    compute_scores(talk, model)
    share = talk.pruner.logged["share in channels"]
    assert share > 0.9
    mask = mask_of(talk, model, share)
    assert all(not tensor.all() for tensor in mask.values())


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (Params("Magnitude"), "importance=Magnitude given; ActivationImportance, .* would work"),
        (Params("OBDCImportance"), "another one would work"),
        (Params(arguments="power=3"), "MagnitudeImportance does not take it"),
    ],
)
def test_an_importance_that_cannot_be_is_refused(params: Params, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        compute_scores(*asked("perceptron", params))


def test_an_importance_of_ones_own_is_found_by_its_place(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "import torch\n\nclass Mine:\n    def __init__(self, sign=1):\n        self.sign = sign\n\n"
        "    def __call__(self, group):\n        return self.sign * torch.arange(len(group[0].idxs)).float()\n"
    )
    talk, own = asked("perceptron", Params(f"{file}:Mine", "sign=-1"))
    mask = mask_of(talk, own, 0.3)
    rows = mask["0.weight"].any(1)
    assert rows.tolist() == sorted(rows.tolist(), reverse=True)
    assert torch_pruning.files(Params(f"{file}:Mine")) == (file,)


def test_a_library_that_is_not_here_is_named_with_its_extra_before_anything_is_trained(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("smc_pruners.adapters._library.find_spec", lambda name: None)
    talk, _ = asked("perceptron")
    with pytest.raises(UsageError, match=r"pip install 'smc-harness\[torch-pruning\]' would work"):
        talk.hook.plan(level=0.5, context=talk.pruner)


def test_cells_of_the_whole_harness_prune_channels(workshop: Workshop) -> None:
    workshop.toy()
    ran = workshop.run(
        *["--collect", "plugins", "--pruners", "torch-pruning,taylor", "--levels", "0.2,0.5", "--search", "grid"],
        "--variant=taylor=torch-pruning,importance=TaylorImportance,phase=iterative",
    )
    assert ran.code == 0, ran.out + ran.err
    cells = ran.cells()
    assert [cell["realised"] for cell in cells.values()] == pytest.approx([0.2, 0.5, 0.2, 0.5], abs=1 / 128)
    assert {cell["phase"] for cell in cells.values()} == {"after", "iterative"}
