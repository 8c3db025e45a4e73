"""hp-s2c5-esm-if1: data, scopes, recipe, and a run from structures to verdicts."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from smc_tasks.protein.inverse_folding import URL, InverseFoldingParams, hp_s2c5

from smc_harness import Pretrained
from smc_harness.conversation.conversation import Conversation
from smc_harness.conversation.options import RunOptions
from smc_harness.discovery.catalogue import discover
from smc_harness.discovery.loading import load
from smc_harness.errors import UsageError
from tests.backbones import HELIX, STRAND, coil, varied, write_pdb
from tests.checkpoints import esm_if1

pytest.importorskip("gemmi")

Command = Callable[..., Any]
NAME = "hp-s2c5-esm-if1"
SETTINGS = {"model": "small.pt", "train": "index.csv", "test": "index.csv", "classes": "3", "selection": "paper"}
SMALL = {"model": "scratch", "hidden": "16", "heads": "2", "layers": "2", "feed_forward": "32", "graph_layers": "1"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Helices, strands and coils of 10 to 24 residues, a third of them for the test."""
    folder = tmp_path_factory.mktemp("structures")
    chance = random.Random(0)
    lines = ["file,label,set"]
    for number in range(90):
        residues, label = chance.randrange(10, 25), number % 3
        made = coil(residues, chance) if label == 2 else varied((HELIX, STRAND)[label], residues, 20.0, chance)
        file = f"pdb/{number}.pdb"
        write_pdb(folder / "data" / file, made)
        lines.append(f"{file},{label},{'test' if number % 9 < 3 else 'train'}")
    (folder / "data" / "index.csv").write_text("\n".join(lines))
    esm_if1(folder / "models" / "small.pt")
    return folder


def talk_of(folder: Path, **settings: str) -> Conversation:
    task = load(discover().installed["task"][NAME], SETTINGS | settings)
    place = None if settings.get("model") == "scratch" else Pretrained(str(folder / "models" / "small.pt"))
    return Conversation(task, None, [], RunOptions(data_dir=str(folder / "data"), pretrained=place), 0)


def test_it_trains_prunes_and_evaluates(command: Command, folder: Path) -> None:
    settings = SETTINGS | SMALL | {"batch_size": "8", "learning_rate": "0.005"}
    words = [word for name, value in settings.items() for word in ("--set", f"{NAME}.{name}={value}")]
    plan = ["--tasks", NAME, "--pruners", "magnitude-after,random-after", "--levels", "0.5", "--search", "grid"]
    done = command(*plan, "--data-dir", str(folder / "data"), *words, "--json", "out.json", "-n", "0")
    assert done.code == 0, done.err
    report = json.loads(Path("out.json").read_text())
    assert report["tasks"][NAME]["chance"] == pytest.approx(1 / 3)
    assert report["tasks"][NAME]["dense"] > 0.8
    assert [cell["realised"] for cell in report["cells"]] == [0.5, 0.5]


def test_a_missing_structure_is_named_before_anything_runs(command: Command, tmp_path: Path) -> None:
    (tmp_path / "index.csv").write_text("file,label\nb/1.pdb,0\n")
    words = [word for name in ("train", "test") for word in ("--set", f"{NAME}.{name}=index.csv")]
    done = command("--tasks", NAME, "--data-dir", str(tmp_path), *words, "--set", f"{NAME}.model=scratch")
    assert done.code == 4
    assert f"--data-dir {tmp_path}: {NAME} needs b/1.pdb: not there" in done.err


def test_without_weights_their_address_is_named(command: Command, folder: Path) -> None:
    words = [word for name in ("train", "test") for word in ("--set", f"{NAME}.{name}=index.csv")]
    done = command("--tasks", NAME, "--data-dir", str(folder / "data"), *words)
    assert done.code == 4
    assert "esm_if1_gvp4_t16_142M_UR50.pt, which is on no hub" in done.err
    assert URL in done.err


def test_the_index_and_its_structures_are_the_data_files(folder: Path) -> None:
    context = SimpleNamespace(
        params=load(discover().installed["task"][NAME], SETTINGS).params, data_dir=folder / "data"
    )
    assert hp_s2c5.data_files(context) == ["index.csv", *(f"pdb/{number}.pdb" for number in range(90))]
    assert hp_s2c5.data_files(SimpleNamespace(params=InverseFoldingParams(), data_dir=None)) == [
        "hotprotein/hp-s2c5/train.csv",
        "hotprotein/hp-s2c5/test.csv",
    ]


def test_a_class_that_the_task_does_not_have_is_named(folder: Path) -> None:
    with pytest.raises(UsageError, match=rf"{NAME} train: .* is of class 2, but there are 2; --set {NAME}.classes"):
        talk_of(folder, classes="2").data  # noqa: B018


def test_evaluation_agrees_with_scoring_every_structure_alone(folder: Path) -> None:
    talk = talk_of(folder, evaluation_batch="7")
    model = talk.build_model().eval()
    outcomes, _ = talk.evaluate(model, "test")
    with torch.no_grad():
        alone = [int(model(talk.collate([structure])).argmax()) for structure in talk.data["test"]]
    assert outcomes.predictions is not None and outcomes.predictions.tolist() == alone
    assert list(outcomes.ids) == [structure.id for structure in talk.data["test"]]


def test_gradient_checkpointing_computes_again_and_changes_nothing(folder: Path) -> None:
    found = []
    for again in ("false", "true"):
        talk = talk_of(folder, gradient_checkpointing=again)  # of the checkpoint, which has dropout
        model: Any = talk.build_model().train()
        calls: list[int] = []
        model.encoder.layers[0].fc1.register_forward_hook(lambda *_, calls=calls: calls.append(1))
        torch.manual_seed(0)
        talk.loss(model, talk.collate(list(talk.data["train"][:4]))).backward()
        found.append((len(calls), [parameter.grad for parameter in model.parameters() if parameter.grad is not None]))
    (once, plain), (twice, checkpointed) = found
    assert (once, twice) == (1, 2)
    assert all(torch.equal(one, other) for one, other in zip(plain, checkpointed, strict=True))


def test_scopes_are_the_transformer_its_attention_or_all_matrices(folder: Path) -> None:
    talk = talk_of(folder)
    model = talk.build_model()
    presets = {key: set(names) for key, names in hp_s2c5.prunable(model).items()}
    assert len(presets["original"]) == 2 * 4
    assert presets["paper"] - presets["original"] == {
        f"encoder.layers.{layer}.{name}.weight" for layer in (0, 1) for name in ("fc1", "fc2")
    }
    assert presets["paper"] < presets["no-embeddings-no-head"] < presets["all"]
    assert all(
        "embed" in name or name.startswith("head.") for name in presets["all"] - presets["no-embeddings-no-head"]
    )
    assert [name for name, _ in talk.prunable(model)] == hp_s2c5.prunable(model)["paper"]


def test_scratch_and_checkpoint_prune_the_same_matrices(folder: Path) -> None:
    made = [talk_of(folder, **settings) for settings in ({}, SMALL)]
    one, other = (hp_s2c5.prunable(talk.build_model())["paper"] for talk in made)
    assert one == other


def test_blocks_are_the_transformer_s_layers(folder: Path) -> None:
    model = talk_of(folder).build_model()
    assert hp_s2c5.blocks(model) == list(model.encoder.layers)


def test_the_recipe_is_the_published_one() -> None:
    recipe = hp_s2c5.recipe(SimpleNamespace(params=InverseFoldingParams(), data={"train": range(30)}))
    assert (recipe.steps, recipe.batch_size) == (64, 4)
    assert recipe.selection is not None
    assert (recipe.selection.split, recipe.selection.every) == ("valid", 8)
    assert recipe.parameter_groups is not None
    module = torch.nn.ModuleDict({"encoder": torch.nn.Linear(2, 2), "head": torch.nn.Linear(2, 2)})
    groups = recipe.optimizer(recipe.parameter_groups(module)).param_groups
    assert [(group["lr"], group["weight_decay"]) for group in groups] == [(1e-4, 0.05), (2e-2, 0.05)]


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ({"hidden": 10}, "hidden=10"),
        ({"hidden": 2, "heads": 2}, "hidden=2"),
        ({"heads": 3}, "hidden=64"),
        ({"selection": "best"}, "selection='best'"),
    ],
)
def test_impossible_settings_are_refused(setting: dict[str, Any], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        InverseFoldingParams(**setting)
