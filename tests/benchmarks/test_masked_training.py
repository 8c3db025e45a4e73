"""The benchmark of a masked step on a small encoder: it runs, and checks its sides against each other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks import encoder_task, masked_training


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(encoder_task, "WIDTH", 32)
    monkeypatch.setattr(encoder_task, "LENGTH", 8)
    target = tmp_path / "found.json"
    monkeypatch.setattr("sys.argv", ["masked_training", "--rounds", "1", "--steps", "1", "--json", str(target)])
    return target


def test_ours_and_a_plain_loop_make_the_same_weights(target: Path) -> None:
    masked_training.main()
    found = json.loads(target.read_text(encoding="utf-8"))
    assert len(found["checked"]) == 1
    assert [ratio["limit"] for ratio in found["ratios"]] == [1.05, None, None, None, None, None]


def test_a_step_that_forgets_the_mask_ends_it(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masked_training.prune, "custom_from_mask", lambda module, name, mask: torch.tensor(0))
    with pytest.raises(AssertionError):
        masked_training.main()
