"""`smc-harness prune`."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from smc_harness.checkpoint.note import Note
from tests.checkpoints import causal
from tests.workshop import Ran

Command = Callable[..., Ran]
TEXT = ["the cat sat on the mat and looked at the dog", "a dog ran over the hill after the cat", "nobody sat still"]
CALIBRATED = (
    *("--calibrate", "wikitext2", "--data-dir", ".", "--set", "wikitext2.length=16", "--set", "wanda.examples=4"),
    *("--set", "wikitext2.train=text.txt", "--set", "wikitext2.test=text.txt"),
)


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    causal(tmp_path / "model", TEXT)
    (tmp_path / "text.txt").write_text("\n".join(TEXT * 40))
    return "model"


def sparsity(folder: str) -> float:
    weights = [w for name, w in load_file(f"{folder}/model.safetensors").items() if "layers" in name and w.dim() == 2]
    return sum(int((weight == 0).sum()) for weight in weights) / sum(weight.numel() for weight in weights)


@pytest.mark.parametrize("how", [("magnitude-one-shot",), ("wanda", *CALIBRATED)], ids=["tensors", "blocks"])
def test_it_says_how_much_was_pruned_and_a_second_time_that_it_was(command: Command, model: str, how: Any) -> None:
    asked = ("prune", model, "--level", "0.25", "--out", "out", "--pruner", *how)
    first = command(*asked)
    assert first.code == 0, first.err
    assert first.out.startswith("out: 1,280 of 5,120 weights pruned (25.0000%), 1 files, ")
    assert sparsity("out") == 0.25
    again = command(*asked)
    assert again.code == 0 and (" by an earlier run, " in again.out)


def test_the_pruned_model_loads(command: Command, model: str) -> None:
    from transformers import AutoModelForCausalLM

    command("prune", model, "--level", "0.5", "--out", "out", "--pruner", "wanda", *CALIBRATED)
    pruned = AutoModelForCausalLM.from_pretrained("out")
    assert torch.isfinite(pruned(input_ids=torch.arange(16)[None]).logits).all()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--pruner", "wanda"), "wanda: its scores need more than a tensor's own values; one that declares"),
        (("--pruner", "wandaa"), "no pruner 'wandaa'; did you mean 'wanda'?"),
        (("--pruner", "wanda", "--calibrate", "wikitext"), "no task 'wikitext'; did you mean 'wikitext2'?"),
        (
            ("--pruner", "wanda", "--calibrate", "commonsense-mini"),
            "does not start from a checkpoint; a task that does",
        ),
        (("--pruner", "wanda", "--set", "snip.batches=3"), "--set snip.…: parameters of wanda would work"),
        (("--pruner", "wanda", "--set", "wikitext2.length=3"), "--set wikitext2.…: parameters of wanda would work"),
        (
            ("--pruner", "magnitude-one-shot", *CALIBRATED),
            "--set wanda.…: parameters of magnitude-one-shot or wikitext2",
        ),
        (("--pruner", "wanda", "--calibrate", "wikitext2", "--data-dir", "."), "needs wikitext2/wiki.train.raw.txt"),
    ],
)
def test_what_cannot_be_had_is_one_line(command: Command, model: str, words: tuple[str, ...], message: str) -> None:
    ran = command("prune", model, "--level", "0.5", "--out", "out", *words)
    assert ran.code == 4 and [message in line for line in ran.err.splitlines() if "smc-harness" in line] == [True]
    assert not Path("out").exists()


def test_a_full_disk_is_one_line(command: Command, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Note, path: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Note, "write", full)
    ran = command("prune", model, "--pruner", "magnitude-one-shot", "--level", "0.5", "--out", "out")
    assert ran.code == 4
    assert "--out out: No space left on device; once it can be written, the same command goes on" in ran.err
