"""Small files of proteins, and tasks that read them."""

from __future__ import annotations

import gzip
from pathlib import Path

from smc_harness import Pretrained
from smc_harness.conversation.conversation import Conversation
from smc_harness.conversation.options import RunOptions
from smc_harness.discovery.catalogue import discover
from smc_harness.discovery.loading import load

SETTINGS = {
    "model": "small", "train": "all.csv", "test": "all.csv", "classes": "3", "batch_size": "8", "epochs": "8",
    "learning_rate": "0.003", "head_learning_rate": "0.01", "longest": "40", "selection": "paper",
}  # fmt: skip


def protein(number: int) -> tuple[str, int]:
    """A sequence whose class is told by its commonest residue."""
    label = number % 3
    return "LAG"[label] * (6 + number % 5) + "VSERTIDPKQNFYMHWC"[number % 17] * 3, label


def write_proteins(folder: Path) -> None:
    """180 of them in three classes, as all.csv.gz: every fourth is for the test."""
    folder.mkdir(parents=True)
    proteins = [protein(number) for number in range(180)]
    lines = [f"{text},{label},{'test' if n % 4 == 0 else 'train'}" for n, (text, label) in enumerate(proteins)]
    with gzip.open(folder / "all.csv.gz", "wt") as stream:
        stream.write("\n".join(["sequence,label,set", *lines]))


def talk_of(task: str, folder: Path, **settings: str) -> Conversation:
    """The task alone, with the checkpoint in models/small unless the settings say scratch."""
    place = Pretrained(str(folder / "models" / "small"), formats=(".safetensors", ".bin"))
    options = RunOptions(
        data_dir=str(folder / "data"), pretrained=None if settings.get("model") == "scratch" else place
    )
    return Conversation(load(discover().installed["task"][task], SETTINGS | settings), None, [], options, 0)


def run_words(task: str, folder: Path, **settings: str) -> list[str]:
    """Words of a command line that prunes it by half, twice."""
    chosen = [word for name, value in (SETTINGS | settings).items() for word in ("--set", f"{task}.{name}={value}")]
    folders = ["--data-dir", str(folder / "data"), "--model-dir", str(folder / "models")]
    plan = ["--tasks", task, "--pruners", "magnitude-after,snip", "--levels", "0.5", "--search", "grid"]
    return [*plan, *folders, *chosen, "--json", "out.json", "-n", "0"]
