"""Gradient checkpointing changes memory and time, and no number."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from smc_harness import Pretrained
from smc_harness.conversation.conversation import Conversation
from smc_harness.conversation.options import RunOptions
from smc_harness.conversation.scoring import compute_scores
from smc_harness.discovery.catalogue import discover
from smc_harness.discovery.loading import load
from smc_harness.lifecycle import keys
from tests.checkpoints import roberta

THINGS = ["bank", "library", "shop", "mall", "zoo"]
INSTALLED = discover().installed
Talk = Callable[..., Conversation]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """models/small with dropout in every layer, and files for csqa, winogrande and hp-s."""
    folder = tmp_path_factory.mktemp("checkpointing")
    small = roberta(folder / "models" / "small", [f"Q: where is the lion ? A: {thing}" for thing in THINGS])
    config = json.loads((small / "config.json").read_text())
    (small / "config.json").write_text(json.dumps(config | {"hidden_dropout_prob": 0.2}))
    choices = [{"label": label, "text": text} for label, text in zip("ABCDE", THINGS, strict=True)]
    asked = {"stem": "where is the lion ?", "question_concept": "lion", "choices": choices}
    question = {"id": "q", "answerKey": "E", "question": asked}
    write(folder / "data" / "commonsense_qa", ["train_rand_split.jsonl", "dev_rand_split.jsonl"], json.dumps(question))
    twin = {"sentence": "where is the _ ?", "option1": "zoo", "option2": "bank", "answer": "1", "qID": "q-1"}
    write(folder / "data" / "winogrande_1.1", ["train_xl.jsonl", "dev.jsonl"], json.dumps(twin))
    write(folder / "data" / "hotprotein" / "hp-s", ["train.csv", "test.csv"], "id,sequence,label\na,MKTAYIAK,1")
    return folder


def write(folder: Path, names: list[str], text: str) -> None:
    folder.mkdir(parents=True)
    for name in names:
        lines = text.split("\n")
        (folder / name).write_text("\n".join([*lines[:-1], *lines[-1:] * 4]))


@pytest.fixture
def talk_of(folder: Path) -> Talk:
    def make(name: str, checkpointing: bool, pruner: str | None = None) -> Conversation:
        settings = {"model": "scratch" if name.startswith("hp") else "small", "batch_size": "4"}
        settings["gradient_checkpointing"] = str(checkpointing).lower()
        pretrained = Pretrained(str(folder / "models" / "small")) if settings["model"] == "small" else None
        options = RunOptions(data_dir=str(folder / "data"), pretrained=pretrained)
        own = load(INSTALLED["pruner"][pruner]) if pruner else None
        return Conversation(load(INSTALLED["task"][name], settings), own, [], options, 0)

    return make


def loss_and_gradients(talk: Conversation) -> tuple[float, dict[str, Tensor], int]:
    """Of one training step; and how often a layer of the encoder ran its feed-forward part."""
    model = talk.build_model().train()
    inner = next(module for name, module in model.named_modules() if name.endswith("layer.0.intermediate"))
    calls: list[int] = []
    inner.register_forward_hook(lambda *_: calls.append(1))
    batch = talk.collate(list(talk.data["train"])[:4])
    torch.manual_seed(3)
    loss = talk.loss(model, batch)
    loss.backward()
    gradients = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    return float(loss.detach()), gradients, len(calls)


@pytest.mark.parametrize("name", ["csqa", "winogrande", "hp-s-esm1b"])
def test_activations_are_computed_again_and_nothing_else_changes(talk_of: Talk, name: str) -> None:
    loss, gradients, calls = loss_and_gradients(talk_of(name, False))
    again, others, more = loss_and_gradients(talk_of(name, True))
    assert (calls, more) == (1, 2)
    assert again == loss
    assert gradients.keys() == others.keys()
    assert all(torch.equal(gradients[key], others[key]) for key in gradients)


def test_dropout_is_on_in_this_comparison(talk_of: Talk) -> None:
    model = talk_of("csqa", True).build_model()
    assert any(isinstance(module, nn.Dropout) and module.p > 0 for module in model.modules())


@pytest.mark.parametrize("pruner", ["snip", "grasp", "obert"])
def test_pruners_score_as_without(talk_of: Talk, pruner: str) -> None:
    found: list[dict[str, Tensor]] = []
    for checkpointing in (False, True):
        talk = talk_of("csqa", checkpointing, pruner)
        scores: Any = compute_scores(talk, talk.build_model())
        found.append(scores)
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])
    assert any(tensor.any() for tensor in found[0].values())


def test_it_is_part_of_the_content_key(talk_of: Talk) -> None:
    roots = {keys.root(talk.task_plugin, talk.options, 0) for talk in (talk_of("csqa", False), talk_of("csqa", True))}
    assert len(roots) == 2
