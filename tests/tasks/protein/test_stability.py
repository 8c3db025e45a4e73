"""Protein stability with ESM: checkpoints in the real format, the head, the recipe."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from smc_tasks.protein.alphabets import ESM
from smc_tasks.protein.classifier import ProteinClassifier, collate
from smc_tasks.protein.recipe import OneCycle
from smc_tasks.protein.stability import ProteinParams, hp_s, meltome

from smc_harness import LinearWarmup
from smc_harness.errors import UsageError
from tests.checkpoints import esm
from tests.tasks.protein.stabilities import run_words, talk_of, write_proteins

Command = Callable[..., Any]
TASK = "hp-s-esm1b"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("protein")
    esm(folder / "models" / "small")
    write_proteins(folder / "data")
    return folder


def test_logits_are_those_of_the_plain_encoder_and_head(folder: Path) -> None:
    from transformers import EsmModel

    talk = talk_of(TASK, folder)
    model = talk.build_model().eval()
    plain = EsmModel.from_pretrained(folder / "models" / "small", add_pooling_layer=False).eval()
    proteins = talk.data["test"][:4]
    logits = model(collate(proteins, ESM)["tokens"])
    head = model.head
    for number, protein in enumerate(proteins):
        states = plain(input_ids=torch.tensor([protein.tokens])).last_hidden_state[0]
        mean = states[1:].mean(0)  # residues and the end token, not the beginning
        hidden = torch.relu(head[1](head[0](mean)))
        torch.testing.assert_close(logits[number], head[3](hidden))


def test_a_protein_in_a_batch_is_what_it_is_alone(folder: Path) -> None:
    talk = talk_of(TASK, folder)
    model = talk.build_model().eval()
    proteins = list(talk.data["test"])
    assert len({len(protein.tokens) for protein in proteins}) > 1
    with torch.no_grad():
        together = model(talk.collate(proteins)["tokens"])
        alone = torch.cat([model(talk.collate([protein])["tokens"]) for protein in proteins])
    torch.testing.assert_close(together, alone)


def test_scratch_and_checkpoint_are_one_class_and_prune_the_same_matrices(folder: Path) -> None:
    names = []
    for settings in ({}, {"model": "scratch", "hidden": "16", "heads": "2", "feed_forward": "32"}):
        talk = talk_of(TASK, folder, **settings)
        model = talk.build_model()
        assert isinstance(model, ProteinClassifier)
        names.append([name for name, _ in talk.prunable(model)])
        unread = {name for name, parameter in model.named_parameters() if parameter.dim() == 2} - set(names[-1])
        talk.loss(model, talk.collate(list(talk.data["train"][:4]))).backward()  # type: ignore[no-untyped-call]
        assert all(parameter.grad is not None for parameter in model.parameters())
        assert all(name.startswith(("encoder.embeddings.", "head.")) for name in unread)
    assert names[0] == names[1]
    assert len(names[0]) == 2 * 6


def test_it_trains_prunes_and_evaluates(command: Command, folder: Path) -> None:
    done = command(*run_words(TASK, folder))
    assert done.code == 0, done.err
    report = json.loads(Path("out.json").read_text())
    assert report["tasks"][TASK]["chance"] == pytest.approx(1 / 3)
    assert report["tasks"][TASK]["dense"] > 0.8
    assert [cell["realised"] for cell in report["cells"]] == [0.5, 0.5]


@pytest.mark.parametrize("epochs", [2, 3, 4, 8, 10])
def test_the_schedule_is_torch_s_one_cycle_stepped_once_an_epoch(epochs: int) -> None:
    weight = torch.nn.Parameter(torch.ones(1))
    adam = torch.optim.AdamW([weight], lr=1.0)
    reference = torch.optim.lr_scheduler.OneCycleLR(adam, max_lr=1.0, total_steps=epochs)
    for epoch in range(epochs):
        expected = adam.param_groups[0]["lr"]
        assert [OneCycle(7, epochs)(7 * epoch + step, 7 * epochs) for step in (0, 6)] == pytest.approx([expected] * 2)
        adam.step()
        if epoch < epochs - 1:
            reference.step()


def test_one_epoch_in_one_cycle_would_train_nothing_and_is_refused() -> None:
    context = SimpleNamespace(name="hp-s-esm1b", params=ProteinParams(steps=10), data={"train": range(30)})
    with pytest.raises(UsageError, match=r"hp-s-esm1b: 10 steps .*; --set hp-s-esm1b.schedule=linear would work"):
        hp_s.recipe(context)
    context.params = ProteinParams(steps=10, schedule="linear", warmup=5)
    assert hp_s.recipe(context).schedule == LinearWarmup(0.5)


@pytest.mark.parametrize("setting", [{"selection": "best"}, {"schedule": "flat"}])
def test_a_choice_that_is_none_is_refused(setting: dict[str, str]) -> None:
    (name,) = setting
    with pytest.raises(UsageError, match=rf"^{name}='{setting[name]}': expected \S+ or \S+$"):
        ProteinParams(**setting)  # type: ignore[arg-type]


def test_a_class_that_the_task_does_not_have_is_named(folder: Path) -> None:
    with pytest.raises(
        UsageError, match=r"hp-s-esm1b train: .* is of class 2; expected 0 to 1, or what --set hp-s-esm1b.classes=N"
    ):
        talk_of(TASK, folder, classes="2").data  # noqa: B018


def test_classes_may_be_counted_from_another_number(folder: Path) -> None:
    (folder / "data" / "from-two.csv").write_text("sequence,label\nMK,2\nLL,3\n")
    talk = talk_of(TASK, folder, train="from-two.csv", test="from-two.csv", first_label="2")
    assert [protein.label for protein in talk.data["train"]] == [0, 1]


def test_a_checkpoint_with_another_alphabet_is_refused(folder: Path) -> None:
    esm(folder / "other" / "models" / "small", tokens=40)
    write_proteins(folder / "other" / "data")
    with pytest.raises(UsageError, match="knows 40 tokens; one with ESM's 33 would work"):
        talk_of(TASK, folder / "other").build_model()


def test_more_residues_than_the_checkpoint_has_positions_for_are_refused(folder: Path) -> None:
    talk_of(TASK, folder, longest="62").build_model()
    with pytest.raises(UsageError, match="longest=63, but the checkpoint reads at most 62 residues"):
        talk_of(TASK, folder, longest="63").build_model()


def test_the_recipes_are_the_published_ones() -> None:
    context = SimpleNamespace(params=ProteinParams(), data={"train": range(30)})
    recipe = hp_s.recipe(context)
    other = meltome.recipe(SimpleNamespace(params=meltome.params(), data=context.data))
    assert (recipe.steps, recipe.batch_size, other.steps, other.batch_size) == (40, 3, 60, 2)
    assert recipe.selection is not None
    assert (recipe.selection.split, recipe.selection.every) == ("valid", 10)
    assert recipe.parameter_groups is not None
    module = torch.nn.ModuleDict({"encoder": torch.nn.Linear(2, 2), "head": torch.nn.Linear(2, 2)})
    rates = [
        (group["lr"], group["weight_decay"]) for group in recipe.optimizer(recipe.parameter_groups(module)).param_groups
    ]
    assert rates == [(1e-6, 0.01), (2e-2, 0.01)]
    assert recipe.schedule == OneCycle(10, 4)
