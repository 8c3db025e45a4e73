"""States on their way to disk and back."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from smc_harness.errors import PluginError
from smc_harness.lifecycle import state
from smc_harness.lifecycle.state import State
from smc_harness.store.artifacts import Artifacts


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(5, 3)
        self.norm = nn.BatchNorm1d(3)
        self.head = nn.Linear(3, 5, bias=False)
        self.head.weight = self.embed.weight
        self.register_buffer("scratch", torch.zeros(2), persistent=False)


def test_a_state_with_tied_weights_and_buffers_survives_the_store(tmp_path) -> None:
    model = Tied()
    model.norm.running_mean.fill_(3.0)
    before = State(
        "key", {"embed.weight": torch.rand(5, 3) < 0.5}, 0.5, 2, {"mine": torch.ones(2)}, {"w/step": torch.ones(())}
    )
    artifacts = Artifacts(tmp_path)
    artifacts.save("key", *state.pack(before, model))
    other = Tied()
    after = state.unpack("key", *artifacts.load("key"), other)
    assert other.head.weight is other.embed.weight
    assert torch.equal(other.embed.weight, model.embed.weight)
    assert torch.equal(other.norm.running_mean, model.norm.running_mean)
    assert torch.equal(after.mask["embed.weight"], before.mask["embed.weight"])
    assert (after.progress, after.turn, after.key) == (0.5, 2, "key")
    assert torch.equal(after.plugin["mine"], torch.ones(2)) and torch.equal(after.optimizer["w/step"], torch.ones(()))


def test_a_dense_state_has_no_mask(tmp_path) -> None:
    tensors, note = state.pack(State("key"), Tied())
    assert state.unpack("key", tensors, note, Tied()).mask is None


def test_a_model_that_was_built_differently_is_refused() -> None:
    tensors, note = state.pack(State("key"), nn.Linear(2, 2))
    with pytest.raises(PluginError, match="it must be the same"):
        state.unpack("key", tensors, note, nn.Linear(3, 2))
