"""What a checkpoint's files say of themselves, and what happens to torn ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from smc_harness.checkpoint.shards import INDEX, WHOLE, shards
from smc_harness.errors import UsageError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_file({"b": torch.ones(2, 3), "a": torch.zeros(4), "c": torch.ones(2, 2, dtype=torch.int64)}, tmp_path / WHOLE)
    return tmp_path


def test_entries_are_in_the_order_of_their_bytes(folder: Path) -> None:
    (shard,) = shards(folder)
    content = (folder / WHOLE).read_bytes()
    assert shard.entries[0].begin == len(shard.head) and shard.entries[-1].end == len(content)
    assert content.startswith(shard.head)
    assert {entry.name for entry in shard.entries if entry.is_matrix} == {"b"}
    assert {entry.name: entry.shape for entry in shard.entries} == {"a": (4,), "b": (2, 3), "c": (2, 2)}


@pytest.mark.parametrize("keep", [0, 4, 40, -1])
def test_a_file_that_was_cut_short_is_refused(folder: Path, keep: int) -> None:
    content = (folder / WHOLE).read_bytes()
    (folder / WHOLE).write_bytes(content[:keep])
    with pytest.raises(UsageError, match=r"model.safetensors: .*; a whole file of safetensors would work"):
        shards(folder)


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ("nothing", "no weight_map from tensors to files beside it"),
        ('{"weight_map": {"a": "../other.safetensors"}}', "no weight_map from tensors to files beside it"),
        ('{"weight_map": {"a": "gone.safetensors"}}', r"gone.safetensors: .*; a whole file"),
        ('{"weight_map": {"z": "part.safetensors"}}', "'z' is in none of the files; a whole checkpoint would work"),
    ],
)
def test_an_index_that_does_not_fit_is_refused(folder: Path, index: str, message: str) -> None:
    (folder / WHOLE).rename(folder / "part.safetensors")
    (folder / INDEX).write_text(index)
    with pytest.raises(UsageError, match=message):
        shards(folder)


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({}))
    with pytest.raises(UsageError, match=f"neither {WHOLE} nor {INDEX}"):
        shards(tmp_path)
