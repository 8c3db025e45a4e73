"""The benchmark of selection on small weights: it runs, and checks both sides against each other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks import selection


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(selection, "SHAPES", [(64, 32), (32, 64), (48, 48)])
    target = ["--layers", "2", "--rounds", "1", "--threads", str(torch.get_num_threads())]
    monkeypatch.setattr("sys.argv", ["selection", *target, "--json", str(tmp_path / "found.json")])
    return target


def test_it_tells_each_claim_and_what_is_equal(words: list[str], tmp_path: Path) -> None:
    selection.main()
    found = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    assert [ratio["what"] for ratio in found["ratios"]] == [
        "cut of one level, float32",
        "cuts of ten levels, float32",
        "cut of one level, bfloat16",
        "cuts of ten levels, bfloat16",
        "applying a level in place",
        "global_unstructured with its masks",
    ]
    assert len(found["checked"]) == 4


def test_a_wrong_cut_ends_it(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    right = selection.find_cuts
    monkeypatch.setattr(selection, "find_cuts", lambda scores, numbers: right(scores, [n - 1 for n in numbers]))
    with pytest.raises(AssertionError):
        selection.main()
