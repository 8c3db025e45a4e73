"""The reference is the library itself, on a copy of the same model."""

from __future__ import annotations

import copy
import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from smc_pruners.adapters import torch_prune
from smc_pruners.adapters.torch_prune import Params
from torch import Tensor, nn
from torch.nn.utils import prune

from smc_harness.conversation.conversation import Conversation
from smc_harness.declarations.structure import Structure, read_structure
from smc_harness.errors import PluginError, UsageError
from tests.pruners.adapters.models import TASKS
from tests.pruners.pruning import mask_of, pruned, talk_of
from tests.workshop import Ran, Workshop

every_model = pytest.mark.parametrize("model", TASKS)
every_dtype = pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
LEVELS = [0.0, 0.2, 0.36, 0.5, 0.893]

OWN = """
import torch
from torch.nn.utils import prune


class Largest(prune.BasePruningMethod):
    PRUNING_TYPE = "unstructured"

    def __init__(self, amount, surplus=0):
        self.amount, self.surplus = amount, surplus

    def compute_mask(self, t, default_mask):
        mask = default_mask.clone()
        mask.view(-1)[t.abs().flatten().topk(self.amount + self.surplus).indices] = 0
        return mask


class SmallestOfAll(Largest):
    PRUNING_TYPE = "global"

    def compute_mask(self, t, default_mask):
        mask = default_mask.clone()
        mask.view(-1)[t.abs().flatten().topk(self.amount, largest=False).indices] = 0
        return mask


class Threshold(prune.BasePruningMethod):
    PRUNING_TYPE = "unstructured"

    def __init__(self, threshold):
        self.threshold = threshold

    def compute_mask(self, t, default_mask):
        return default_mask * (t.abs() > self.threshold)
"""


def asked(
    task: str, params: Params, allocation: str = "global", **options: torch.dtype
) -> tuple[Conversation, nn.Module]:
    return talk_of(torch_prune, params, task=TASKS[task](**options), structure=Structure(allocation))


Places = dict[str, tuple[nn.Module, str]]
"""What the library calls the scope: modules and the names of their parameters."""


def places_in(talk: Conversation, model: nn.Module) -> tuple[nn.Module, Places]:
    """A copy of the model, for the library to prune, and the scope in it."""
    theirs = copy.deepcopy(model)
    found = {name: name.rpartition(".") for name, _ in talk.prunable(model)}
    return theirs, {name: (theirs.get_submodule(path), last) for name, (path, _, last) in found.items()}


def masks(places: Places) -> dict[str, Tensor]:
    """The library's masks, as buffers of the modules; there is none where nothing was to prune."""
    return {
        name: getattr(module, f"{last}_mask", torch.ones_like(getattr(module, last))) != 0
        for name, (module, last) in places.items()
    }


def put_on(talk: Conversation, model: nn.Module, mask: dict[str, Tensor]) -> None:
    """As the harness does after a pruning."""
    talk.pruner.mask = mask
    with torch.no_grad():
        for name, parameter in talk.prunable(model):
            parameter.masked_fill_(~mask[name], 0.0)


def equal(left: dict[str, Tensor], right: dict[str, Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


@every_model
@every_dtype
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(
    ("method", "kind"), [("l1_unstructured", prune.L1Unstructured), ("random_unstructured", prune.RandomUnstructured)]
)
def test_equals_the_librarys_global_pruning(
    method: str, kind: type, level: float, dtype: torch.dtype, model: str
) -> None:
    talk, own = asked(model, Params(method), dtype=dtype)
    _, places = places_in(talk, own)
    count = math.floor(level * sum(parameter.numel() for _, parameter in talk.prunable(own)) + 0.5)
    with talk.seeded(talk.pruner, "mask", level):
        prune.global_unstructured(list(places.values()), kind, amount=count)
    mask = mask_of(talk, own, level)
    assert equal(mask, masks(places))
    assert pruned(mask) == count


@every_model
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("allocation", ["uniform", "erk"])
def test_equals_the_library_told_the_amount_of_each_tensor(allocation: str, level: float, model: str) -> None:
    talk, own = asked(model, Params("l1_unstructured"), allocation)
    mask = mask_of(talk, own, level)
    _, places = places_in(talk, own)
    for name, place in places.items():
        prune.l1_unstructured(*place, amount=int((~mask[name]).sum()))
    assert equal(mask, masks(places))
    total = sum(tensor.numel() for tensor in mask.values())
    assert pruned(mask) == math.floor(level * total + 0.5)
    if allocation == "uniform":
        assert all(abs(int((~tensor).sum()) - level * tensor.numel()) < 1 for tensor in mask.values())


@every_model
@pytest.mark.parametrize("dim", [0, 1])
@pytest.mark.parametrize("level", LEVELS)
def test_structured_methods_prune_as_many_whole_channels_as_fit(level: float, dim: int, model: str) -> None:
    talk, own = asked(model, Params("ln_structured", f"n=2 dim={dim}"), "uniform")
    _, places = places_in(talk, own)
    budget = {name: int((~kept).sum()) for name, kept in mask_of(*asked(model, Params(), "uniform"), level).items()}
    for name, place in places.items():
        weight = getattr(*place)
        channels = budget[name] * weight.shape[dim] // weight.numel()
        prune.ln_structured(*place, amount=channels, n=2, dim=dim)
    mask = mask_of(talk, own, level)
    assert equal(mask, masks(places))
    for name, tensor in mask.items():
        missing = budget[name] - int((~tensor).sum())
        assert 0 <= missing < tensor.numel() // tensor.shape[dim], name


def test_a_norm_may_be_infinite() -> None:
    talk, own = asked("perceptron", Params("ln_structured", "n=-inf dim=0"), "uniform")
    mask = mask_of(talk, own, 0.5)
    _, places = places_in(talk, own)
    for place in places.values():
        prune.ln_structured(*place, amount=len(getattr(*place)) // 2, n=float("-inf"), dim=0)
    assert equal(mask, masks(places))


def test_random_channels_are_the_librarys_draw() -> None:
    talk, own = asked("perceptron", Params("random_structured", "dim=0"), "uniform")
    mask = mask_of(talk, own, 0.5)
    _, places = places_in(talk, own)
    with talk.seeded(talk.pruner, "mask", 0.5):
        for place in places.values():
            prune.random_structured(*place, amount=len(getattr(*place)) // 2, dim=0)
    assert equal(mask, masks(places))


ROUNDS: dict[str, tuple[Params, str, Callable[[list[tuple[nn.Module, str]], list[int]], None]]] = {
    "global": (
        Params(),
        "global",
        lambda places, counts: prune.global_unstructured(places, prune.L1Unstructured, amount=sum(counts)),
    ),
    "of each tensor": (
        Params(),
        "uniform",
        lambda places, counts: [
            prune.l1_unstructured(*place, amount=count) for place, count in zip(places, counts, strict=True)
        ],
    ),
    "channels": (
        Params("ln_structured", "n=1 dim=0"),
        "uniform",
        lambda places, counts: [
            prune.ln_structured(*place, amount=count // getattr(*place)[0].numel(), n=1, dim=0)
            for place, count in zip(places, counts, strict=True)
        ],
    ),
}


@every_model
@pytest.mark.parametrize("how", ROUNDS)
def test_repeated_pruning_equals_the_librarys_container(how: str, model: str) -> None:
    params, allocation, library = ROUNDS[how]
    talk, own = asked(model, params, allocation)
    _, places = places_in(talk, own)
    before, draw = dict.fromkeys(places, 0), torch.Generator().manual_seed(3)
    for level in (0.2, 0.36, 0.488):
        mask = mask_of(talk, own, level)
        now = {name: int((~kept).sum()) for name, kept in mask.items()}
        library(list(places.values()), [now[name] - before[name] for name in places])
        assert equal(mask, masks(places)), level
        put_on(talk, own, mask)
        before = now
        with torch.no_grad():  # what a training does: living weights move
            for name, parameter in talk.prunable(own):
                module, last = places[name]
                move = torch.randn(parameter.shape, generator=draw) * mask[name]
                parameter.add_(move)
                getattr(module, f"{last}_orig", getattr(module, last)).add_(move)
                for refresh in module._forward_pre_hooks.values():
                    refresh(module, None)


def test_the_model_is_left_as_it_was() -> None:
    talk, model = asked("bert", Params())
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    names = [name for name, _ in model.named_parameters()]
    mask_of(talk, model, 0.5)
    assert equal(dict(model.state_dict()), before)
    assert [name for name, _ in model.named_parameters()] == names
    assert not prune.is_pruned(model)


# -- somebody's own method ----------------------------------------------------------------------------------------


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file with methods, in a package on the path."""
    folder = tmp_path / "my_methods"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "largest.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    yield folder / "largest.py"
    for module in [module for module in sys.modules if module.startswith("my_methods")]:
        del sys.modules[module]


@pytest.mark.parametrize("by_file", [True, False])
def test_a_method_of_ones_own_is_found_by_its_place(by_file: bool, own: Path, tmp_path: Path) -> None:
    (tmp_path / "alone.py").write_text(OWN)
    place = f"{tmp_path / 'alone.py'}:Largest" if by_file else "my_methods.largest:Largest"
    talk, model = asked("perceptron", Params(place))
    mask = mask_of(talk, model, 0.3)
    weights = torch.cat([parameter.detach().abs().flatten() for _, parameter in talk.prunable(model)])
    kept = torch.cat([tensor.flatten() for tensor in mask.values()])
    assert int((~kept).sum()) == math.floor(0.3 * kept.numel() + 0.5)
    assert weights[~kept].min() >= weights[kept].max()


def test_a_method_that_is_shown_dead_entries_counts_them(own: Path) -> None:
    talk, model = asked("perceptron", Params("my_methods.largest:SmallestOfAll"), "uniform")
    for level in (0.25, 0.5):
        mask = mask_of(talk, model, level)
        assert equal(mask, mask_of(*asked("perceptron", Params(), "uniform"), level))
        put_on(talk, model, mask)


@pytest.mark.parametrize(
    ("method", "arguments", "allocation", "message"),
    [
        ("Largest", "surplus=2", "global", "it pruned .* weights of the scope; .*, as told, would work"),
        ("Largest", "surplus=1", "uniform", "it pruned .* weights of 0.weight; .*, as told, would work"),
        ("Threshold", "", "global", "takes no `amount`"),
        ("Missing", "", "global", "has no class 'Missing'"),
        ("SmallestOfAll", "", "global", "prunes within a tensor: uniform or erk would work"),
    ],
)
def test_a_method_that_cannot_keep_to_a_level_is_refused(
    method: str, arguments: str, allocation: str, message: str, own: Path
) -> None:
    talk, model = asked("perceptron", Params(f"my_methods.largest:{method}", arguments), allocation)
    with pytest.raises((PluginError, UsageError), match=message):
        mask_of(talk, model, 0.5)


def test_a_class_that_is_no_pruning_method_is_refused() -> None:
    with pytest.raises(PluginError, match="not a BasePruningMethod"):
        mask_of(*asked("perceptron", Params("collections:OrderedDict")), 0.5)


def test_an_argument_that_the_method_does_not_know_is_refused() -> None:
    with pytest.raises(UsageError, match="arguments=power=3 given; L1Unstructured does not take it"):
        mask_of(*asked("perceptron", Params(arguments="power=3")), 0.5)


def test_the_source_of_a_method_is_read_for_the_content_keys(own: Path) -> None:
    assert torch_prune.files(Params("my_methods.largest:Largest")) == [own]
    assert torch_prune.files(Params(f"{own}:Largest")) == (own,)
    assert torch_prune.files(Params("my_methods:Largest")) == [own.parent / "__init__.py"]
    assert torch_prune.files(Params("l1_unstructured")) == ()
    with pytest.raises(UsageError, match="no module 'absent' is installed"):
        torch_prune.files(Params("absent.module:Largest"))


# -- parameters ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"method": "l2_unstructured"}, "did you mean 'l1_unstructured'"),
        ({"method": "ln_structured"}, "arguments=n=2 would work"),
        ({"arguments": "dim"}, "NAME=VALUE, with spaces between several, would work"),
    ],
)
def test_parameters_that_cannot_be_are_refused_at_once(given: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Params(**given)


@pytest.mark.parametrize(
    ("params", "axes", "message"),
    [
        (Params("ln_structured", "n=2"), ("global", "none"), "uniform or erk would work"),
        (Params(), ("global", "2:4"), "pattern=none would work"),
        (Params(), ("rows", "none"), "ranks whole tensors: global, uniform or erk would work"),
    ],
)
def test_what_cannot_go_together_is_refused_before_anything_is_trained(
    params: Params, axes: tuple[str, str], message: str
) -> None:
    talk, _ = talk_of(torch_prune, params, structure=read_structure(*axes, "mine"))
    with pytest.raises(UsageError, match=message):
        talk.hook.plan(level=0.5, context=talk.pruner)


# -- the whole harness --------------------------------------------------------------------------------------------


def test_magnitudes_by_the_library_are_magnitudes_by_us_at_every_phase(workshop: Workshop) -> None:
    """The same masks, hence the same training, to the bit."""
    phases = {"magnitude-after": "after", "magnitude-before": "before", "gmp": "during", "lth": "iterative"}
    variants = [f"--variant=l1-{phase}=torch-prune,phase={phase}" for phase in phases.values()]
    names = ",".join([*phases, *(f"l1-{phase}" for phase in phases.values())])
    workshop.toy()
    ran = workshop.run(
        "--collect", "plugins", "--pruners", names, *variants, "--levels", "0.36,0.8", "--search", "grid"
    )
    assert ran.code == 0, ran.out + ran.err
    cells = ran.cells()
    for ours, phase in phases.items():
        for level in ("0.36", "0.8"):
            mine, theirs = cells[f"toy::{ours}[{level},seed0]"], cells[f"toy::l1-{phase}[{level},seed0]"]
            assert (mine["value"], mine["realised"]) == (theirs["value"], theirs["realised"]), (phase, level)
            assert theirs["phase"] == phase


def run_own(workshop: Workshop, *arguments: str) -> Ran:
    workshop.toy()
    variant = "--variant=own=torch-prune,method=largest.py:Largest"
    return workshop.run("--collect", "plugins", "--pruners", "own", variant, "--levels", "0.5", *arguments)


def test_an_edited_method_is_measured_anew(workshop: Workshop) -> None:
    workshop.write("largest.py", OWN)
    cell = "toy::own[0.5,seed0]"
    assert [run_own(workshop).cells()[cell]["cached"] for _ in range(2)] == [False, True]
    workshop.write("largest.py", OWN + "\n# edited\n")
    assert run_own(workshop).cells()[cell]["cached"] is False


def test_a_method_that_is_not_there_is_a_usage_error_that_names_the_file(workshop: Workshop) -> None:
    ran = run_own(workshop)
    assert ran.code == 4
    assert "largest.py: no such file" in ran.err
