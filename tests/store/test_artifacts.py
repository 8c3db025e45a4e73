"""Tensors on disk."""

from __future__ import annotations

import os

import pytest
import torch
from safetensors.torch import save_file

from smc_harness.cells import Measurement
from smc_harness.errors import StoreError
from smc_harness.store.artifacts import Artifacts
from smc_harness.store.results import Results


@pytest.fixture
def artifacts(tmp_path) -> Artifacts:
    return Artifacts(tmp_path)


def test_tensors_of_every_dtype_come_back_to_the_bit(artifacts) -> None:
    tensors = {
        "f": torch.randn(3, 2),
        "half": torch.randn(4).bfloat16(),
        "mask": torch.tensor([True, False]),
        "empty": torch.zeros(0, 3),
        "scalar": torch.tensor(2.0),
    }
    artifacts.save("abc", tensors, {"progress": 0.5})
    loaded, note = artifacts.load("abc")
    assert note == {"progress": 0.5}
    assert all(
        torch.equal(loaded[name], tensor) and loaded[name].dtype == tensor.dtype for name, tensor in tensors.items()
    )


def test_a_transposed_view_is_saved_as_what_it_shows(artifacts) -> None:
    matrix = torch.arange(6.0).view(2, 3)
    artifacts.save("abc", {"t": matrix.t()})
    assert torch.equal(artifacts.load("abc")[0]["t"], matrix.t())


def test_what_is_not_there_is_none(artifacts) -> None:
    assert not artifacts.has("abc")
    assert artifacts.load("abc") is None


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"\xff" * len(b)])
def test_a_damaged_file_is_none(artifacts, damage) -> None:
    artifacts.save("abc", {"t": torch.ones(100)})
    path = artifacts.path("abc")
    path.write_bytes(damage(path.read_bytes()))
    assert artifacts.load("abc") is None


def flipped(content: bytes) -> bytes:
    """One bit of the last weight is another."""
    return content[:-1] + bytes([content[-1] ^ 1])


def test_an_altered_file_is_none_and_can_be_written_again(artifacts) -> None:
    artifacts.save("abc", {"t": torch.ones(100)})
    artifacts.load("abc")
    path = artifacts.path("abc")
    path.write_bytes(flipped(path.read_bytes()))
    assert artifacts.load("abc") is None
    artifacts.save("abc", {"t": torch.ones(100)})
    assert torch.equal(artifacts.load("abc")[0]["t"], torch.ones(100))


def test_what_was_written_under_another_key_is_none(artifacts) -> None:
    artifacts.save("abc", {"t": torch.ones(2)})
    artifacts.path("abd").parent.mkdir(exist_ok=True)
    artifacts.path("abd").write_bytes(artifacts.path("abc").read_bytes())
    assert artifacts.load("abd") is None


def test_a_file_without_a_seal_is_none(artifacts) -> None:
    artifacts.path("abc").parent.mkdir(parents=True)
    save_file({"t": torch.ones(2)}, artifacts.path("abc"), metadata={"note": "{}"})
    assert artifacts.load("abc") is None


def test_a_failed_save_leaves_nothing_behind(artifacts, monkeypatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="No space left on device; where that is mended, the same command goes on"):
        artifacts.save("abc", {"t": torch.ones(2)})
    assert not artifacts.has("abc")
    assert not [file for file in artifacts.folder.rglob("*") if file.is_file()]


def test_what_was_handed_over_is_read_here_before_it_is_kept_and_everywhere_after(tmp_path) -> None:
    here, elsewhere = (Artifacts(tmp_path / "artifacts") for _ in range(2))
    values = torch.randn(3, 2, dtype=torch.float64)
    here.hand_over("abc", {"values": values.t()}, {"ids": ["é"]})
    assert elsewhere.load("abc") is None
    results = Results(tmp_path)
    results.keep("abc", "task", None, None, 0, Measurement(value=1.0, n=1, seconds=0.0), here.pending["abc"])
    for artifacts in (here, elsewhere):
        tensors, note = artifacts.load("abc")
        assert torch.equal(tensors["values"], values.t()) and note == {"ids": ["é"]}
        assert (artifacts.read("abc")[0]["values"] == values.t().numpy()).all()
    assert not elsewhere.has("abc")


def test_damaged_outcomes_are_none(tmp_path) -> None:
    artifacts = Artifacts(tmp_path / "artifacts")
    Results(tmp_path).keep("abc", "task", None, None, 0, Measurement(value=1.0, n=1, seconds=0.0), b"no outcomes")
    assert artifacts.load("abc") is None
