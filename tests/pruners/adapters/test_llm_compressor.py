"""The reference is the library itself: its pipelines, on a copy of the same model and the same examples."""

from __future__ import annotations

import copy
import math
from types import ModuleType
from typing import Any

import pytest
import torch
from smc_pruners import sparsegpt, wanda
from smc_pruners.adapters import llm_compressor
from smc_pruners.adapters.llm_compressor import Params
from torch import Tensor, nn

from smc_harness import hookimpl
from smc_harness.conversation.conversation import Conversation
from smc_harness.declarations.structure import NofM, Structure, read_structure
from smc_harness.errors import PluginError, UsageError
from smc_harness.lifecycle.trajectory import InapplicableError
from tests.pruners.adapters.models import TASKS, linear_only, llama, sentences, task_of
from tests.pruners.pruning import mask_of, pruned, talk_of
from tests.pruners.stacks import stack_task, text_task
from tests.workshop import Workshop

SPARSE, WANDA, MAGNITUDE = "SparseGPTModifier", "WandaPruningModifier", "MagnitudePruningModifier"
MODIFIERS = [SPARSE, WANDA, MAGNITUDE]
every_modifier = pytest.mark.parametrize("modifier", MODIFIERS)
every_dtype = pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
EXAMPLES = 48
MODELS = {"perceptron": 3, "bert": 14, "llama": 14}
"""Linear layers of each; that of Llama which is tied to its embeddings is not among them."""


@pytest.fixture
def library() -> ModuleType:
    return pytest.importorskip(
        "llmcompressor",
        reason="it asks for an older transformers than we develop on; `make test` installs it all the same",
    )


def transformer(dtype: torch.dtype = torch.float32) -> ModuleType:
    """Llama as transformers has it, which the library can trace."""
    task = task_of(lambda: llama().model, sentences, wanted=linear_only)

    @hookimpl
    def compute_loss(model, batch, context):
        return nn.functional.cross_entropy(model(**inputs(batch)).logits[:, -1], batch["y"])

    task.compute_loss = compute_loss
    return task


def inputs(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    return {"input_ids": batch["x"], "attention_mask": torch.ones_like(batch["x"])}


def asked(
    task: str | ModuleType,
    params: Params | None = None,
    axes: tuple[str, str] = ("uniform", "none"),
    dtype: torch.dtype = torch.float32,
) -> tuple[Conversation, nn.Module]:
    made = TASKS[task](dtype=dtype, wanted=linear_only) if isinstance(task, str) else task
    talk, model = talk_of(llm_compressor, params, task=made, structure=read_structure(*axes, "mine"))
    return talk, model.eval()  # as the harness has it when a mask is chosen


def modifier_of(name: str, sparsity: float, targets: list[str], structure: str = "0:0", **more: Any) -> Any:
    from llmcompressor.modifiers import pruning

    if name == MAGNITUDE:
        more |= {"init_sparsity": sparsity, "final_sparsity": sparsity, "start": 0.0, "end": 1.0}
    else:
        more |= {"sparsity": sparsity, "mask_structure": structure}
    return getattr(pruning, name)(targets=targets, **more)


def by_the_library(talk: Conversation, model: nn.Module, modifier: Any, pipeline: str) -> nn.Module:
    """A copy that the library has pruned, by one modifier for all layers."""
    from llmcompressor.args import DatasetArguments
    from llmcompressor.core import LifecycleCallbacks, create_session
    from llmcompressor.pipelines.basic import BasicPipeline
    from llmcompressor.pipelines.sequential import SequentialPipeline

    theirs = copy.deepcopy(model)
    batches = list(talk.pruner.batches("train", EXAMPLES))
    with torch.no_grad(), create_session() as session:
        session.initialize(model=theirs, recipe=[modifier], sequential_targets=[])
        if pipeline == "data-free":
            LifecycleCallbacks.batch_start()
            LifecycleCallbacks.optim_post_step()
        elif pipeline == "basic":
            dtype = next(theirs.parameters()).dtype
            given = [batch["x"].to(dtype) if batch["x"].is_floating_point() else batch["x"] for batch in batches]
            BasicPipeline()(theirs, [{name_of_input(theirs): x} for x in given], None)
        else:
            wanted = DatasetArguments(sequential_targets=["LlamaDecoderLayer"])
            SequentialPipeline()(theirs, [inputs(batch) for batch in batches], wanted)
        session.finalize()
    return theirs


def name_of_input(model: nn.Module) -> str:
    return "input" if isinstance(model, nn.Sequential) else "x"


def paths(talk: Conversation, model: nn.Module) -> list[str]:
    return [name.removesuffix(".weight") for name, _ in talk.prunable(model)]


def equal(left: dict[str, Tensor], right: dict[str, Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def zeros(talk: Conversation, model: nn.Module) -> dict[str, Tensor]:
    return {name: parameter.detach() != 0 for name, parameter in talk.prunable(model)}


@pytest.mark.parametrize("model", MODELS)
@every_modifier
@every_dtype
@pytest.mark.parametrize("level", [0.2, 0.36, 0.5, 0.893])
def test_mask_and_weights_are_what_the_library_leaves(
    level: float, dtype: torch.dtype, modifier: str, model: str, library: ModuleType
) -> None:
    params = Params(modifier, examples=EXAMPLES, sequential=False, exact=False)
    talk, own = asked(model, params, dtype=dtype)
    assert len(paths(talk, own)) == MODELS[model]
    pipeline = "data-free" if modifier == MAGNITUDE else "basic"
    theirs = by_the_library(talk, own, modifier_of(modifier, level, paths(talk, own)), pipeline)
    mask = mask_of(talk, own, level)
    assert equal(mask, zeros(talk, theirs))
    assert equal(dict(own.state_dict()), dict(theirs.state_dict()))
    assert 0 < pruned(mask) < sum(tensor.numel() for tensor in mask.values())


@pytest.mark.parametrize("modifier", [SPARSE, WANDA])
@pytest.mark.parametrize("level", [0.36, 0.5])
def test_block_by_block_it_is_the_librarys_sequential_pipeline(
    level: float, modifier: str, library: ModuleType
) -> None:
    params = Params(modifier, examples=EXAMPLES, exact=False)
    talk, own = asked(transformer(), params)
    theirs = by_the_library(talk, own, modifier_of(modifier, level, paths(talk, own)), "sequential")
    at_once = mask_of(*asked(transformer(), Params(modifier, examples=EXAMPLES, sequential=False, exact=False)), level)
    mask = mask_of(talk, own, level)
    assert equal(mask, zeros(talk, theirs))
    for name, parameter in talk.prunable(own):
        torch.testing.assert_close(parameter, dict(theirs.named_parameters())[name], rtol=1e-5, atol=1e-6)
    assert not equal(mask, at_once)


@pytest.mark.parametrize("modifier", [SPARSE, WANDA])
@pytest.mark.parametrize(("pattern", "structure"), [("2:4", "2:4"), ("1:4", "3:4"), ("3:4", "1:4")])
def test_a_pattern_is_the_modifiers_mask_structure(
    pattern: str, structure: str, modifier: str, library: ModuleType
) -> None:
    params = Params(modifier, examples=EXAMPLES, sequential=False)
    talk, own = asked("bert", params, ("global", pattern))
    level = talk.pruner.pattern.level
    theirs = by_the_library(talk, own, modifier_of(modifier, level, paths(talk, own), structure), "basic")
    mask = mask_of(talk, own, level)
    assert equal(mask, zeros(talk, theirs))
    assert talk.pruner.logged["settled"] == 0


@pytest.mark.parametrize("axes", [("uniform", "none"), ("erk", "none")], ids=" ".join)
@every_modifier
@pytest.mark.parametrize("level", [0.0, 0.2, 0.36, 0.734])
def test_every_layer_is_brought_to_the_exact_count(
    level: float, modifier: str, axes: tuple[str, str], library: ModuleType
) -> None:
    talk, own = asked("bert", Params(modifier, examples=EXAMPLES), axes)
    asked_for = talk.pruner.select({n: torch.zeros_like(p) for n, p in talk.prunable(own)}, level)
    mask = mask_of(talk, own, level)
    assert pruned(mask) == math.floor(level * sum(tensor.numel() for tensor in mask.values()) + 0.5)
    assert {name: int(tensor.sum()) for name, tensor in mask.items()} == {
        name: int(tensor.sum()) for name, tensor in asked_for.items()
    }


@every_modifier
def test_the_exact_mask_differs_from_the_librarys_by_what_it_miscounts(modifier: str, library: ModuleType) -> None:
    theirs = mask_of(*asked("bert", Params(modifier, examples=EXAMPLES, exact=False)), 0.36)
    talk, own = asked("bert", Params(modifier, examples=EXAMPLES))
    mask = mask_of(talk, own, 0.36)
    for name in mask:
        # one of the two holds all that the other does
        assert not (mask[name] & ~theirs[name]).any() or not (theirs[name] & ~mask[name]).any(), name
    assert sum(int((mask[name] != theirs[name]).sum()) for name in mask) == talk.pruner.logged["settled"] > 0


def test_what_is_pruned_already_stays_pruned_and_counts(library: ModuleType) -> None:
    talk, own = asked("bert", Params(examples=EXAMPLES))
    before = mask_of(talk, own, 0.2)
    talk.pruner.mask = before
    with torch.no_grad():
        for name, parameter in talk.prunable(own):
            parameter.masked_fill_(~before[name], 0.0)
    after = mask_of(talk, own, 0.5)
    assert not any((after[name] & ~before[name]).any() for name in after)
    assert pruned(after) == math.floor(0.5 * sum(tensor.numel() for tensor in after.values()) + 0.5)


def test_layers_with_one_weight_are_pruned_once(library: ModuleType) -> None:
    def tied() -> nn.Module:
        model = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh())
        model[4].weight = model[2].weight
        return nn.Sequential(*model, nn.Linear(16, 3))

    talk, own = asked(task_of(tied, lambda draw: torch.randn(96, 6, generator=draw)), Params(sequential=False))
    mask = mask_of(talk, own, 0.5)
    assert list(mask) == ["0.weight", "2.weight", "6.weight"]
    assert own[4].weight is own[2].weight
    assert pruned(mask) == 200


def test_a_layer_that_no_input_reaches_is_an_error_that_names_it(library: ModuleType) -> None:
    class Idle(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.idle = nn.Linear(6, 3), nn.Linear(6, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.used(x)

    task = task_of(Idle, lambda draw: torch.randn(96, 6, generator=draw))
    with pytest.raises(PluginError, match="mine: no input reached 'idle'; a scope without it would work"):
        mask_of(*asked(task, Params(sequential=False)), 0.5)


def test_arguments_reach_the_modifier(library: ModuleType) -> None:
    weights = []
    for damping in ("0.01", "1.0"):
        talk, own = asked("bert", Params(arguments=f"dampening_frac={damping}", examples=EXAMPLES))
        mask_of(talk, own, 0.5)
        weights.append({name: parameter.detach() for name, parameter in talk.prunable(own)})
    assert not equal(*weights)
    with pytest.raises(UsageError, match="arguments=power=3 given; SparseGPTModifier does not take it"):
        mask_of(*asked("bert", Params(arguments="power=3")), 0.5)


def test_nothing_is_said_on_standard_output(workshop: Workshop, library: ModuleType) -> None:
    workshop.toy()
    words = ["--pruners", "llm-compressor", "--set", "llm-compressor.sequential=false", "--levels", "0.5", "-n", "0"]
    ran = workshop.run("--collect", "plugins", *words)
    assert "get_main_device" not in ran.out
    assert "Sparsifying" not in ran.out + ran.err


def test_a_pattern_that_the_magnitude_modifier_has_not_is_refused(library: ModuleType) -> None:
    with pytest.raises(UsageError, match="another modifier would work"):
        mask_of(*asked("bert", Params(MAGNITUDE), ("global", "2:4")), 0.5)


def test_cells_of_the_whole_harness_are_pruned_after_training_or_retrained(
    workshop: Workshop, library: ModuleType
) -> None:
    workshop.toy()
    ran = workshop.run(
        *["--collect", "plugins", "--pruners", "theirs,again", "--levels", "0.25,0.5", "--search", "grid"],
        "--variant=theirs=llm-compressor,modifier=WandaPruningModifier,sequential=false",
        "--variant=again=llm-compressor,modifier=WandaPruningModifier,sequential=false,train=true",
    )
    assert ran.code == 0, ran.out + ran.err
    cells = ran.cells()
    assert [cell["realised"] for cell in cells.values()] == [0.25, 0.5, 0.25, 0.5]
    assert all(cell["verdict"] in ("pass", "fail") for cell in cells.values())


@pytest.mark.parametrize(
    ("own", "modifier", "structure"),
    [
        (wanda, "WandaPruningModifier", Structure("rows")),
        (wanda, "WandaPruningModifier", Structure(pattern=NofM(2, 4))),
        (sparsegpt, "SparseGPTModifier", Structure(pattern=NofM(2, 4))),
    ],
)
def test_pruners_of_our_own_keep_the_same_weights(
    library: ModuleType, own: ModuleType, modifier: str, structure: Structure
) -> None:
    made = stack_task()
    masks = []
    for hooks, params in ((own, own.params()), (llm_compressor, llm_compressor.params(modifier=modifier))):
        talk, model = talk_of(hooks, params, structure=structure, task=made)
        masks.append(mask_of(talk, model.eval(), 0.5))
    ours, theirs = masks
    same = sum(int((ours[name] == theirs[name]).sum()) for name in ours)
    assert same >= 0.998 * sum(mask.numel() for mask in ours.values())  # costs that are equal but for the last bit


def test_a_kind_of_layer_that_it_passes_over_is_refused(library: ModuleType) -> None:
    talk, model = talk_of(llm_compressor, structure=Structure("uniform"), task=text_task())
    with pytest.raises(PluginError, match=r"attn.c_attn.weight' is of a Conv1D, which the library passes over; wanda"):
        mask_of(talk, model.eval(), 0.5)


# -- without the library ------------------------------------------------------------------------------------------


def test_a_library_that_is_not_here_is_named_with_its_extra_before_anything_is_trained(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("smc_pruners.adapters._library.find_spec", lambda name: None)
    talk, _ = asked("perceptron")
    with pytest.raises(UsageError, match=r"pip install 'smc-harness\[llm-compressor\]' would work"):
        talk.hook.plan(level=0.5, context=talk.pruner)


def test_rows_need_the_exact_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smc_pruners.adapters._library.find_spec", lambda name: object())
    talk, _ = asked("perceptron", Params(exact=False), axes=("rows", "none"))
    with pytest.raises(UsageError, match="allocation=rows given; .* exact=True would work"):
        talk.hook.plan(level=0.5, context=talk.pruner)


@pytest.mark.parametrize(
    ("axes", "message"),
    [(("global", "none"), "uniform or erk would work"), (("uniform", "2x2"), "N:M such as 2:4 would work")],
)
def test_what_cannot_go_together_is_refused_before_anything_is_trained(
    axes: tuple[str, str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smc_pruners.adapters._library.find_spec", lambda name: object())
    talk, _ = asked("perceptron", axes=axes)
    with pytest.raises(UsageError, match=message):
        talk.hook.plan(level=0.5, context=talk.pruner)


def test_a_scope_with_embeddings_is_skipped(trajectory) -> None:
    walk = trajectory(llm_compressor, task=TASKS["bert"](), params=Params(), structure=Structure("uniform"))
    walk._start()
    with pytest.raises(InapplicableError, match="prunes linear layers only; scope 'paper' also has"):
        walk._check_applicable()


@pytest.mark.parametrize("given", [{"examples": 0}, {"arguments": "block_size"}])
def test_parameters_that_cannot_be_are_refused_at_once(given: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="would work"):
        Params(**given)
