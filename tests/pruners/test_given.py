"""A checkpoint that somebody else pruned: counted, matched, judged and fine-tuned."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from smc_pruners import _safetensors, given, magnitude
from smc_pruners._safetensors import sparsity, weight_files
from torch import Tensor, nn

from smc_harness import Pretrained, hookimpl
from smc_harness.conversation.options import RunOptions
from smc_harness.discovery.catalogue import discover
from smc_harness.discovery.loading import control_of, load
from smc_harness.errors import UsageError
from smc_harness.lifecycle.trajectory import Trajectory
from smc_harness.sparsity import mask as masks
from smc_harness.store.artifacts import Artifacts
from tests.checkpoints import roberta
from tests.pruners.pruning import mask_of, pruned, talk_of
from tests.toys import toy_task
from tests.workshop import Ran, Workshop

Make = Callable[..., Trajectory]
DTYPES = [torch.float32, torch.float16, torch.bfloat16, torch.float64]


def saved(path: Path, tensors: Mapping[str, Tensor]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}, path)
    return path


def sharded(folder: Path, tensors: Mapping[str, Tensor]) -> Path:
    """Two files and their index, as `save_pretrained` writes a model that is too large for one."""
    placed: dict[str, str] = {}
    for number in (0, 1):
        part = dict(list(tensors.items())[number::2])
        placed |= dict.fromkeys(part, saved(folder / f"model-0000{number + 1}-of-00002.safetensors", part).name)
    index = {"metadata": {"total_size": 0}, "weight_map": placed}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


# -- counted without torch ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("chunk", [3, 2**22])
def test_planted_zeros_are_counted_to_the_last_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, chunk: int
) -> None:
    monkeypatch.setattr(_safetensors, "_CHUNK", chunk)
    smallest = torch.tensor(2.0**-133 if dtype is torch.bfloat16 else torch.finfo(dtype).smallest_normal, dtype=dtype)
    one = torch.tensor([[0.0, -0.0, 1.0], [-1.0, float("nan"), float("inf")]]).to(dtype)
    other = torch.tensor([[0.0], [2.0**-20], [0.0], [-0.0]]).to(dtype)
    other[1] = smallest
    no_weights = {"bias": torch.zeros(9), "places": torch.zeros(1, 7, dtype=torch.long), "none": torch.zeros(0, 4)}
    file = saved(tmp_path / f"{chunk}.safetensors", {"one": one, "other": other, **no_weights})
    assert sparsity(weight_files(file)) == 5 / 10


def test_shards_count_together(tmp_path: Path) -> None:
    tensors = {"a": torch.zeros(2, 3), "b": torch.ones(4, 4).bfloat16(), "c": torch.eye(3).half()}
    assert sparsity(weight_files(sharded(tmp_path, tensors))) == 12 / 31


def test_the_level_is_the_share_to_four_digits_and_below_one(tmp_path: Path) -> None:
    def level(name: str, tensor: Tensor) -> float:
        (found,) = given.levels(given.Params(saved(tmp_path / f"{name}.safetensors", {"w": tensor})))
        return found

    assert level("third", torch.tensor([[0.0, 1.0, 2.0]])) == 0.3333
    assert level("dense", torch.ones(2, 2)) == 0.0
    assert level("all", torch.zeros(2, 2)) == 0.9999


def test_what_save_pretrained_writes_is_found_whole_or_in_shards(tmp_path: Path) -> None:
    from transformers import BertConfig, BertModel

    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    model = BertModel(BertConfig(vocab_size=30, **sizes))
    model.save_pretrained(tmp_path / "whole")
    model.save_pretrained(tmp_path / "shards", max_shard_size="2KB")
    assert [file.name for file in weight_files(tmp_path / "whole")] == ["model.safetensors"]
    assert len(weight_files(tmp_path / "shards")) > 1
    assert sparsity(weight_files(tmp_path / "whole")) == sparsity(weight_files(tmp_path / "shards")) > 0


INDEX = "model.safetensors.index.json"


@pytest.mark.parametrize(
    ("files", "place", "reason"),
    [
        ({}, "nowhere", r"nowhere: no such file or folder; a checkpoint in safetensors would work"),
        ({"x.bin": "p"}, "x.bin", r"x.bin: not a .safetensors file; one, or the folder that holds it, would work"),
        (
            {"pytorch_model.bin": "p"},
            "",
            r"no model.safetensors, and pytorch_model.bin is pickled, which is not read; ",
        ),
        ({"config.json": "{}"}, "", r": no model.safetensors; the folder that save_pretrained of transformers writes"),
        ({INDEX: "[]"}, "", r"index.json: no weight_map from tensors to files beside it"),
        ({INDEX: '{"weight_map": {"a": "../a.safetensors"}}'}, "", r"index.json: no weight_map from tensors"),
        ({INDEX: '{"weight_map": {"a": "a.safetensors"}}'}, "", r"a.safetensors: not there, but model.safetensors.ind"),
    ],
)
def test_what_is_no_checkpoint_is_refused_in_a_line(
    workshop: Workshop, files: dict[str, str], place: str, reason: str
) -> None:
    for name, text in files.items():
        workshop.write(name, text)
    with pytest.raises(UsageError, match=reason):
        weight_files(workshop.folder / place)


@pytest.mark.parametrize("text", ["", "{}", "x" * 100])
def test_a_torn_file_is_named(workshop: Workshop, text: str) -> None:
    file = workshop.write("torn.safetensors", text)
    with pytest.raises(UsageError, match=r"torn.safetensors: not a whole safetensors file .* a whole one would work"):
        sparsity([file])


def test_a_file_without_matrices_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no two-dimensional tensor of floats"):
        sparsity([saved(tmp_path / "flat.safetensors", {"bias": torch.ones(3)})])


# -- matched -----------------------------------------------------------------------------------------------------------


def toy_weights(seed: int = 1, level: float = 0.5) -> dict[str, Tensor]:
    """All tensors of the toy's model, a share of each matrix zero."""
    draw = torch.Generator().manual_seed(seed)
    shapes = {"0.weight": (16, 6), "0.bias": (16,), "3.weight": (2, 16), "3.bias": (2,)}
    tensors = {name: torch.randn(shape, generator=draw) for name, shape in shapes.items()}
    for tensor in tensors.values():
        if tensor.dim() == 2:
            tensor.view(-1)[: round(level * tensor.numel())] = 0.0
    return tensors


def taken(path: Path, task: ModuleType | None = None, **params: Any) -> tuple[dict[str, Tensor], nn.Module]:
    """The mask that a file gives, and the model that took its values."""
    talk, model = talk_of(given, given.Params(path, **params), task=task)
    return mask_of(talk, model, 0.5), model


@pytest.mark.parametrize("dtype", DTYPES[:3])
def test_values_and_zeros_are_those_of_the_file(tmp_path: Path, dtype: torch.dtype) -> None:
    tensors = {name: tensor.to(dtype) for name, tensor in toy_weights().items()}
    tensors["0.weight"][0, 0] = -0.0
    mask, model = taken(saved(tmp_path / "model.safetensors", {**tensors, "of_no_use": torch.ones(3)}).parent)
    assert {name: torch.equal(mask[name], tensors[name] != 0) for name in mask} == dict.fromkeys(mask, True)
    assert pruned(mask) == 64
    for name, tensor in model.state_dict().items():
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, tensors[name].float())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"0.bias": None}, r"lacks '0.bias'; a checkpoint of the task's model would work$"),
        ({"0.bias": None, "3.bias": None}, r"lacks '0.bias' and 1 more; a checkpoint of the task's model would work$"),
        (
            {"3.weight": torch.ones(3, 16)},
            r"'3.weight' has shape \(3, 16\); that of the task's model, \(2, 16\), would work$",
        ),
        ({"3.weight": torch.ones(2, 16, dtype=torch.int8)}, r"'3.weight' is int8, as of a quantised model; float16 or"),
        (
            {"3.weight": torch.ones(2, 16).to(torch.float8_e4m3fn)},
            r"'3.weight' is float8_e4m3fn, as of a quantised model; float16 or",
        ),
        (
            dict.fromkeys(toy_weights()) | {"other": torch.ones(2, 2)},
            r"nothing of the task's model, such as '0.weight'; a checkpoint of it would work$",
        ),
    ],
)
def test_a_file_of_another_model_is_refused_and_the_tensor_named(
    tmp_path: Path, change: dict[str, Tensor | None], reason: str
) -> None:
    tensors = {name: tensor for name, tensor in {**toy_weights(), **change}.items() if tensor is not None}
    with pytest.raises(UsageError, match=reason):
        taken(saved(tmp_path / "model.safetensors", tensors))


class Tied(nn.Module):
    """Two names of one matrix, and a part whose names begin with a prefix."""

    base_model_prefix = "body"

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(2, 2, bias=False)
        self.again = nn.Linear(2, 2, bias=False)
        self.again.weight = self.body.weight
        self.head = nn.Linear(2, 2)
        self.register_buffer("count", torch.zeros(1, dtype=torch.long))


def tied_task(head: tuple[str, ...] = ()) -> ModuleType:
    task = toy_task()
    task.prepare_model = hookimpl(lambda context: Tied())
    task.head = head
    return task


FULL = {"head.weight": torch.eye(2), "head.bias": torch.ones(2), "count": torch.tensor([5])}
SPARSE = torch.tensor([[0.0, 1.0], [2.0, 3.0]])


@pytest.mark.parametrize("name", ["body.weight", "again.weight", "weight", "body.again.weight"])
def test_a_tied_tensor_needs_one_of_its_names_with_the_prefix_or_without(tmp_path: Path, name: str) -> None:
    mask, model = taken(saved(tmp_path / "model.safetensors", {name: SPARSE, **FULL}), tied_task())
    assert torch.equal(model.again.weight, SPARSE)
    assert torch.equal(mask["body.weight"], SPARSE != 0)
    assert model.count.item() == 5


def test_a_file_that_does_not_tie_what_the_model_ties_is_refused(tmp_path: Path) -> None:
    both = {"body.weight": SPARSE, "again.weight": SPARSE + 1}
    with pytest.raises(UsageError, match="'body.weight' and 'again.weight' differ; in the task's model they are one"):
        taken(saved(tmp_path / "model.safetensors", both | FULL), tied_task())
    same = {"body.weight": SPARSE, "again.weight": SPARSE}
    taken(saved(tmp_path / "same.safetensors", same | FULL), tied_task())


def test_output_layers_may_be_missing_where_they_are_to_be_trained(tmp_path: Path) -> None:
    file = saved(tmp_path / "model.safetensors", {"body.weight": SPARSE, "count": FULL["count"]})
    task = tied_task(head=("head.*",))
    fresh = talk_of(given, given.Params(file), task=task)[1].head.weight
    mask, model = taken(file, task, train=True)
    assert bool(mask["head.weight"].all())
    assert torch.equal(model.head.weight, fresh)
    with pytest.raises(UsageError, match=r"lacks 'head.weight' and 1 more"):
        taken(file, task)
    with pytest.raises(UsageError, match=r"lacks 'head.weight' and 1 more"):
        taken(file, tied_task(), train=True)


# -- judged ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [0.0, 0.5])
def test_a_pruned_model_that_comes_back_as_a_file_has_the_same_value_to_the_bit(
    trajectory: Make, tmp_path: Path, level: float
) -> None:
    own = trajectory(magnitude.after, (level,), params=magnitude.after.params())
    expected = own.measure(level)
    weights, _ = own._live()
    file = saved(tmp_path / "model.safetensors", weights.state_dict())
    theirs = trajectory(given, given.levels(given.Params(file)), params=given.Params(file), name="given")
    assert list(theirs._plans) == [level]
    found = theirs.measure(level)
    assert (found.value, found.realised, found.densities) == (expected.value, expected.realised, expected.densities)
    pairs = ((own, expected), (theirs, found))
    outcomes = [walk.artifacts.load(measured.outcomes)[0]["values"] for walk, measured in pairs]
    assert torch.equal(*outcomes)


def test_a_training_starts_from_the_file_and_its_zeros_stay(trajectory: Make, tmp_path: Path) -> None:
    tensors = toy_weights()
    params = given.Params(saved(tmp_path / "model.safetensors", tensors), train=True)
    walked = trajectory(given, (0.5,), params=params, name="given")
    measured = walked.measure(0.5)
    model, now = walked._live()
    assert (measured.realised, measured.steps) == (0.5, 60)
    for name, parameter in walked.talk.prunable(model):
        assert torch.equal(now.mask[name], tensors[name] != 0)
        assert bool((parameter[tensors[name] == 0] == 0).all())
        assert not torch.equal(parameter, tensors[name])
    masks.audit(now.mask, walked.talk.prunable(model), "in the end")


def test_the_controls_of_a_file_are_random_masks_on_the_dense_model(trajectory: Make, tmp_path: Path) -> None:
    params = given.Params(saved(tmp_path / "model.safetensors", toy_weights()))
    walked = trajectory(given, (0.5,), params=params, name="given")
    pruner = control_of(walked.talk.pruner_plugin, "random")
    control = Trajectory(
        walked.talk.task_plugin, pruner, [], walked.talk.options, 0, walked.artifacts, walked.progress, (0.5,)
    )
    assert control.measure(0.5).realised == 0.5
    dense = trajectory()
    dense.measure(None)
    sparse, trained = (dict(each._live()[0].named_parameters()) for each in (control, dense))
    assert torch.equal(sparse["0.bias"], trained["0.bias"])


# -- by the command line -----------------------------------------------------------------------------------------------

COLLECT = ("--collect", "plugins", "--pruners", "given", "-n", "0")
Judge = Callable[..., dict[str, Any]]


@pytest.fixture
def judge(command: Callable[..., Ran], workshop: Workshop) -> Judge:
    """The one cell of `given` on the task toy, or on another one."""
    workshop.toy()

    def run(path: str, *words: str) -> dict[str, Any]:
        done = command(*(words or COLLECT), "--pruners", "given", "--set", f"given.path={path}", "--json", "out.json")
        assert done.code in (0, 6), done.err
        report = json.loads(Path("out.json").read_text())
        (cell,) = report["cells"]
        return cell | {"code": done.code, "out": done.out}

    return run


def test_an_edited_file_is_measured_anew_and_a_moved_one_is_not(judge: Judge, workshop: Workshop) -> None:
    file = saved(workshop.folder / "ckpt" / "model.safetensors", toy_weights())
    first = judge("ckpt")
    assert (first["id"], first["verdict"], first["cached"]) == ("toy::given[0.5,seed0]", "fail", False)
    shutil.copytree(file.parent, workshop.folder / "moved")
    moved = judge("moved")
    assert (moved["cached"], moved["value"]) == (True, first["value"])
    saved(file, toy_weights(seed=2))
    edited = judge("ckpt")
    assert (edited["id"], edited["cached"]) == (first["id"], False)
    assert edited["outcomes"] != first["outcomes"]


def test_a_level_that_is_not_the_scopes_sparsity_is_said_to_differ(judge: Judge, workshop: Workshop) -> None:
    tensors = toy_weights() | {"of_no_use": torch.ones(8, 16)}
    saved(workshop.folder / "ckpt" / "model.safetensors", tensors)
    cell = judge("ckpt")
    assert (cell["level"], cell["realised"]) == (0.25, 0.5)
    assert "the level is 0.25, but 0.5 of the scope is pruned" in cell["diagnosis"]
    assert "the level is 0.25, but 0.5 of the scope is pruned" in cell["out"]


def test_a_file_of_another_model_costs_its_cell(judge: Judge, workshop: Workshop) -> None:
    saved(workshop.folder / "ckpt" / "model.safetensors", {"other": torch.eye(2)})
    cell = judge("ckpt")
    assert cell["code"] == 6
    assert cell["error"] == "ckpt: nothing of the task's model, such as '0.weight'; a checkpoint of it would work"


def test_collecting_does_without_torch(workshop: Workshop) -> None:
    workshop.toy()
    saved(workshop.folder / "ckpt" / "model.safetensors", {"w": torch.eye(4).bfloat16()})
    words = [*COLLECT, "--set", "given.path=ckpt", "--collect-only"]
    code = (
        "import sys; from smc_harness.cli import main;"
        f"code = main({words!r}); sys.exit(99 if 'torch' in sys.modules else code)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=workshop.folder, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "toy::given[0.75,seed0]"), done.stderr


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ([], "given needs path; --set given.path=VALUE would work"),
        (
            ["--set", "given.path=nowhere"],
            "given: nowhere: no such file or folder; a checkpoint in safetensors would w",
        ),
        (["--set", "given.path=pickled"], "given: pickled: no model.safetensors, and pytorch_model.bin is pickled"),
        (["--set", "given.paht=x"], "given has no parameter 'paht'; did you mean 'path'?"),
    ],
)
def test_what_cannot_be_read_ends_the_run_before_it_begins(
    command: Callable[..., Ran], workshop: Workshop, words: list[str], reason: str
) -> None:
    workshop.write("pickled/pytorch_model.bin", "p")
    done = command("--tasks", "commonsense-mini", "--pruners", "given", *words)
    assert (done.code, done.out) == (4, "")
    assert done.err.startswith(f"smc-harness: {reason}")
    assert len(done.err.splitlines()) == 1
    assert not (workshop.folder / ".smc-harness").exists()


def test_a_glob_passes_over_it_where_there_is_no_path(command: Callable[..., Ran]) -> None:
    done = command("--tasks", "commonsense-mini", "--pruners", "g*", "--levels", "0.5", "--collect-only")
    assert done.code == 0
    assert "gmp" in done.out and "::given" not in done.out
    assert "given needs path; --set given.path=VALUE would work; passed over" in done.err


# -- against a dense parent that is fine-tuned already -----------------------------------------------------------------

THINGS = ["bank", "library", "shop", "mall", "zoo"]


def questions(count: int, seed: int) -> str:
    """Questions whose answer is the only zoo."""
    draw = torch.Generator().manual_seed(seed)
    lines = []
    for number in range(count):
        texts = [THINGS[index] for index in torch.randint(4, (5,), generator=draw)]
        label = int(torch.randint(5, (1,), generator=draw))
        texts[label] = "zoo"
        options = [{"label": letter, "text": text} for letter, text in zip("ABCDE", texts, strict=True)]
        asked = {"stem": "where is the lion ?", "question_concept": "lion", "choices": options}
        lines.append(json.dumps({"id": f"{seed}-{number}", "answerKey": "ABCDE"[label], "question": asked}))
    return "\n".join(lines)


SETTINGS = {"steps": 60, "warmup": 5, "batch_size": 16, "learning_rate": 0.003}


@pytest.fixture
def csqa(workshop: Workshop) -> Callable[..., list[str]]:
    """A small csqa; the words that run it on a checkpoint under models/, of which `small` is there."""
    roberta(workshop.folder / "models" / "small", [f"Q: where is the lion ? A: {thing}" for thing in THINGS])
    workshop.write("data/commonsense_qa/train_rand_split.jsonl", questions(96, 1))
    workshop.write("data/commonsense_qa/dev_rand_split.jsonl", questions(60, 2))

    def words(model: str, **settings: Any) -> list[str]:
        told = (SETTINGS | settings | {"model": model}).items()
        places = ["--tasks", "csqa", "--data-dir", "data", "--model-dir", "models", "-n", "0"]
        return [*places, *(word for key, value in told for word in ("--set", f"csqa.{key}={value}"))]

    return words


def test_parent_and_child_are_judged_without_any_training(
    judge: Judge, csqa: Callable[..., list[str]], workshop: Workshop
) -> None:
    models = workshop.folder / "models"
    parent, value = fine_tuned(workshop.folder)
    parent.save_pretrained(models / "parent")
    for file in models.glob("small/*token*"):
        shutil.copy(file, models / "parent")
    with torch.no_grad():
        for parameter in parent.parameters():
            if parameter.dim() == 2:
                flat = parameter.view(-1)
                flat[flat.abs().argsort(stable=True)[: flat.numel() // 5]] = 0.0
    parent.save_pretrained(models / "child", max_shard_size="8KB")
    assert len(list((models / "child").glob("*.safetensors"))) > 1

    cell = judge("models/child", *csqa("parent", steps=0))
    assert cell["dense"] == value > 0.5
    assert cell["realised"] == pytest.approx(0.2, abs=0.002)
    assert cell["level"] == round(cell["realised"], 4)
    assert cell["verdict"] == ("pass" if cell["value"] >= 0.99 * value else "fail")
    same = judge("models/parent", *csqa("parent", steps=0))
    assert (same["value"], same["verdict"], same["logged"]) == (value, "pass", {})
    # a parent without output layers is none: they are not made up
    assert "small lacks 'classifier.bias' and 3 more" in judge("models/child", *csqa("small", steps=0))["error"]


def test_a_sparse_encoder_is_fine_tuned_under_output_layers_of_the_task(
    judge: Judge, csqa: Callable[..., list[str]], workshop: Workshop
) -> None:
    from safetensors.torch import load_file

    tensors = load_file(workshop.folder / "models" / "small" / "model.safetensors")
    name = "roberta.encoder.layer.0.output.dense.weight"
    tensors[name][:, ::2] = 0.0
    bare = {key.removeprefix("roberta."): tensor for key, tensor in tensors.items()}
    saved(workshop.folder / "sparse.safetensors", bare)
    cell = judge("sparse.safetensors", *csqa("small"), "--set", "given.train=true")
    assert cell["densities"][name] == 0.5
    assert cell["densities"]["classifier.weight"] == 1.0
    assert cell["value"] > 0.5
    untrained = judge("sparse.safetensors", *csqa("small"))
    assert "sparse.safetensors: lacks 'roberta.pooler.dense.weight' and 3 more" in untrained["error"]


def fine_tuned(folder: Path) -> tuple[Any, float]:
    """A model that was fine-tuned by csqa's recipe, and what it scores."""
    task = load(discover().installed["task"]["csqa"], {"model": "small"} | {k: str(v) for k, v in SETTINGS.items()})
    options = RunOptions(data_dir=str(folder / "data"), pretrained=Pretrained(str(folder / "models" / "small")))
    dense = Trajectory(task, None, [], options, 0, Artifacts(folder / "theirs"), lambda what, step, of: None)
    value = dense.measure(None).value
    return dense._live()[0], value
