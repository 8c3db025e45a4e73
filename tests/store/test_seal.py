"""Seals."""

from __future__ import annotations

import hashlib
import json

import numpy
import pytest
import torch

from smc_harness.store import seal

TENSORS = {"b": torch.tensor([[1.0, 2.0]]), "a": torch.tensor([True]), "none": torch.zeros(0, 3)}


def test_a_seal_is_a_digest_of_all_that_is_said() -> None:
    said = json.dumps(["key", "note", ["a", "b", "none"], ["bool", "float32", "float32"], [[1], [1, 2], [0, 3]]])
    expected = hashlib.sha256(said.encode() + b"\x01" + numpy.array([1, 2], dtype="<f4").tobytes()).hexdigest()
    assert seal.of_tensors("key", TENSORS, "note") == expected


def test_arrays_have_the_seal_of_the_tensors_that_they_are_of() -> None:
    arrays = {name: tensor.numpy() for name, tensor in TENSORS.items()}
    assert seal.of_tensors("key", arrays, "") == seal.of_tensors("key", TENSORS, "")


@pytest.mark.parametrize(
    ("key", "tensors", "note"),
    [
        ("other", TENSORS, ""),
        ("key", TENSORS, "other"),
        ("key", TENSORS | {"b": torch.tensor([1.0, 2.0])}, ""),
        ("key", TENSORS | {"b": torch.tensor([[1.0, 2.0]]).view(torch.int32)}, ""),
        ("key", TENSORS | {"c": torch.zeros(0)}, ""),
        ("key", TENSORS | {"b": torch.tensor([[1.0, -2.0]])}, ""),
    ],
    ids=["key", "note", "shape", "dtype", "name", "bytes"],
)
def test_whatever_differs_makes_another_seal(key: str, tensors: dict[str, torch.Tensor], note: str) -> None:
    assert seal.of_tensors(key, tensors, note) != seal.of_tensors("key", TENSORS, "")


def test_texts_are_sealed_with_their_key() -> None:
    assert len({seal.of_text("a", "bc"), seal.of_text("ab", "c"), seal.of_text("a", "bd")}) == 3
