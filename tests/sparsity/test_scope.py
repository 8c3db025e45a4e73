"""Resolving a preset to tensors."""

from __future__ import annotations

import pytest
from torch import nn

from smc_harness.errors import PluginError, UsageError
from smc_harness.sparsity.scope import linear_layers, not_linear, resolve, turned, two_dimensional


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(5, 3)
        self.mix = nn.Linear(3, 3)
        self.head = nn.Linear(3, 5, bias=False)
        self.head.weight = self.embed.weight


def test_the_default_preset_lists_two_dimensional_tensors_and_a_tied_one_once() -> None:
    assert two_dimensional(Tied()) == ["embed.weight", "mix.weight"]


def test_a_tensor_listed_under_both_of_its_names_is_refused() -> None:
    with pytest.raises(PluginError, match="the same tensor as 'embed.weight'"):
        resolve({"paper": ["embed.weight", "head.weight"]}, "paper", Tied(), "t")


def test_a_tied_tensor_may_be_listed_under_its_second_name() -> None:
    assert resolve({"paper": ["head.weight"]}, "paper", Tied(), "t") == ["head.weight"]


def test_an_unknown_preset_is_a_usage_error_with_the_nearest_name() -> None:
    with pytest.raises(UsageError, match="did you mean 'backbone'"):
        resolve({"paper": [], "backbone": []}, "backbon", Tied(), "t")


def test_an_unknown_tensor_is_named() -> None:
    with pytest.raises(PluginError, match="'mix.weigth', which the model lacks; did you mean 'mix.weight'"):
        resolve({"paper": ["mix.weigth"]}, "paper", Tied(), "t")


def test_only_the_weights_of_linear_layers_are_linear() -> None:
    assert not_linear(Tied(), ["embed.weight", "mix.weight"]) == ["embed.weight"]


def test_layers_whose_weight_is_turned_are_linear_and_known() -> None:
    from transformers.pytorch_utils import Conv1D

    model = nn.ModuleDict({"turned": Conv1D(4, 3), "plain": nn.Linear(3, 4)})
    names = ["turned.weight", "plain.weight"]
    assert not_linear(model, names) == [] and turned(model, names) == {"turned.weight"}
    assert list(linear_layers(model, names)) == names
