"""Protein stability with ESM: files, checkpoints in the real format, the head, the recipe."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from smc_tasks.protein.classifier import OneCycle, ProteinClassifier, collate
from smc_tasks.protein.records import ALPHABET, Protein, encode, read
from smc_tasks.protein.stability import ProteinParams, hp_s, meltome

from smc_harness import Pretrained
from smc_harness.conversation.conversation import Conversation
from smc_harness.conversation.options import RunOptions
from smc_harness.discovery.catalogue import discover
from smc_harness.discovery.loading import load
from smc_harness.errors import UsageError

Command = Callable[..., Any]


def row(number: int) -> tuple[str, int]:
    """A sequence whose class is told by its commonest residue."""
    label = number % 3
    return "LAG"[label] * (6 + number % 5) + "VSERTIDPKQNFYMHWC"[number % 17] * 3, label


def esm(folder: Path, tokens: int = len(ALPHABET)) -> Path:
    """A small ESM-1b as `save_pretrained` writes it: absolute positions, layer norm before."""
    from transformers import EsmConfig, EsmForMaskedLM

    config = EsmConfig(
        vocab_size=tokens, pad_token_id=1, mask_token_id=32, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=66, position_embedding_type="absolute", token_dropout=True,
        emb_layer_norm_before=True, initializer_range=0.2,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        EsmForMaskedLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("protein")
    esm(folder / "models" / "small")
    (folder / "data").mkdir()
    proteins = [row(number) for number in range(180)]
    lines = [f"{text},{label},{'test' if n % 4 == 0 else 'train'}" for n, (text, label) in enumerate(proteins)]
    with gzip.open(folder / "data" / "all.csv.gz", "wt") as stream:
        stream.write("\n".join(["sequence,label,set", *lines]))
    return folder


SETTINGS = {
    "model": "small", "train": "all.csv", "test": "all.csv", "classes": "3", "batch_size": "8", "epochs": "8",
    "learning_rate": "0.003", "head_learning_rate": "0.01", "longest": "40", "selection": "paper",
}  # fmt: skip


def talk_of(folder: Path, **settings: str) -> Conversation:
    task = load(discover().installed["task"]["hp-s-esm1b"], SETTINGS | settings)
    place = None if settings.get("model") == "scratch" else Pretrained(str(folder / "models" / "small"))
    return Conversation(task, None, [], RunOptions(data_dir=str(folder / "data"), pretrained=place), 0)


def test_the_alphabet_is_that_of_the_tokeniser_of_esm(tmp_path: Path) -> None:
    from transformers import EsmTokenizer

    (tmp_path / "vocab.txt").write_text("\n".join(ALPHABET))
    tokenizer = EsmTokenizer(str(tmp_path / "vocab.txt"))
    for sequence in ("LAGVSERTIDPKQNFYMHWC", "MXBUZO", "MK"):
        assert list(encode(sequence, 100)) == tokenizer(sequence)["input_ids"]
    assert len(ALPHABET) == 33
    assert encode("mkj", 2) == encode("MK", 5)
    assert encode("J", 5)[1] == ALPHABET.index("<unk>")


def test_logits_are_those_of_the_plain_encoder_and_head(folder: Path) -> None:
    from transformers import EsmModel

    talk = talk_of(folder)
    model = talk.build_model().eval()
    plain = EsmModel.from_pretrained(folder / "models" / "small", add_pooling_layer=False).eval()
    proteins = talk.data["test"][:4]
    logits = model(collate(proteins)["tokens"])
    head = model.head
    for number, protein in enumerate(proteins):
        states = plain(input_ids=torch.tensor([protein.tokens])).last_hidden_state[0]
        mean = states[1:].mean(0)  # residues and the end token, not the beginning
        hidden = torch.relu(head[1](head[0](mean)))
        torch.testing.assert_close(logits[number], head[3](hidden))


def test_scratch_and_checkpoint_are_one_class_and_prune_the_same_matrices(folder: Path) -> None:
    names = []
    for settings in ({}, {"model": "scratch", "hidden": "16", "heads": "2", "feed_forward": "32"}):
        talk = talk_of(folder, **settings)
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
    settings = [word for name, value in SETTINGS.items() for word in ("--set", f"hp-s-esm1b.{name}={value}")]
    folders = ["--data-dir", str(folder / "data"), "--model-dir", str(folder / "models")]
    plan = ["--tasks", "hp-s-esm1b", "--pruners", "magnitude-after,snip", "--levels", "0.5", "--search", "grid"]
    done = command(*plan, *folders, *settings, "--json", "out.json", "-n", "0")
    assert done.code == 0, done.err
    report = json.loads(Path("out.json").read_text())
    assert report["tasks"]["hp-s-esm1b"]["chance"] == pytest.approx(1 / 3)
    assert report["tasks"]["hp-s-esm1b"]["dense"] > 0.8
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


def test_csv_and_fasta_read_alike(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,sequence,label\np1,MKV,0\np2,LLA,2\n")
    (tmp_path / "a.fasta").write_text(">p1 0\nMK\nV\n>p2 2\nLLA\n")
    expected = [Protein("p1", encode("MKV", 9), 0), Protein("p2", encode("LLA", 9), 2)]
    assert read(tmp_path / "a.csv", "train", 9) == read(tmp_path / "a.fasta", "train", 9) == expected


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("a.csv", "sequence,label\nMK,cold\n", "protein 1: the label is 'cold'"),
        ("a.csv", "sequence,label\n,1\n", "protein 1: the sequence is empty"),
        ("a.csv", "sequence\nMK\n", "no column 'label'"),
        ("a.csv", "sequence,label,set\nMK,1,test\n", "no proteins for train"),
        ("a.fasta", ">p1\nMK\n", "protein 1: the label is 'p1'"),
    ],
)
def test_a_file_that_is_something_else_is_named(tmp_path: Path, name: str, text: str, reason: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UsageError) as caught:
        read(tmp_path / name, "train", 9)
    assert str(tmp_path / name) in str(caught.value)
    assert reason in str(caught.value)


def test_a_class_that_the_task_does_not_have_is_named(folder: Path) -> None:
    with pytest.raises(
        UsageError, match=r"hp-s-esm1b train: .* is of class 2, but there are 2; --set hp-s-esm1b.classes"
    ):
        talk_of(folder, classes="2").data  # noqa: B018


def test_a_checkpoint_with_another_alphabet_is_refused(folder: Path) -> None:
    esm(folder / "models" / "other", tokens=40)
    task = load(discover().installed["task"]["hp-s-esm1b"], SETTINGS)
    options = RunOptions(data_dir=str(folder / "data"), pretrained=Pretrained(str(folder / "models" / "other")))
    with pytest.raises(UsageError, match="knows 40 tokens; one with ESM's 33 would work"):
        Conversation(task, None, [], options, 0).build_model()


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
