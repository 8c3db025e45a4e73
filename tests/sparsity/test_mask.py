"""Checking masks and scores, putting masks on, and the audit."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from smc_harness.errors import LeakError, PluginError
from smc_harness.sparsity import mask as masks


@pytest.fixture
def prunable() -> list[tuple[str, nn.Parameter]]:
    return [("a", nn.Parameter(torch.ones(2, 2))), ("b", nn.Parameter(torch.ones(1, 3)))]


def all_true(prunable: masks.Prunable) -> dict[str, torch.Tensor]:
    return {name: torch.ones_like(parameter, dtype=torch.bool) for name, parameter in prunable}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda given: given.pop("b"), "lacks 'b'"),
        (lambda given: given.update(c=torch.ones(1)), "has 'c'"),
        (lambda given: given.update(a=torch.ones(4)), r"shape \(4,\); the parameter's shape \(2, 2\)"),
        (lambda given: given.update(a=[1]), "is list"),
    ],
)
def test_wrong_scores_are_named_with_what_would_work(prunable, change, message) -> None:
    given = {name: parameter.detach() for name, parameter in prunable}
    change(given)
    with pytest.raises(PluginError, match=message):
        masks.check_scores(given, prunable, "mine")


def test_scores_with_nan_are_refused(prunable) -> None:
    given = {"a": torch.full((2, 2), float("nan")), "b": torch.zeros(1, 3)}
    with pytest.raises(PluginError, match="mine: scores\\['a'\\] hold NaN"):
        masks.check_scores(given, prunable, "mine")


def test_a_mask_must_be_bool(prunable) -> None:
    given = {name: parameter.detach() for name, parameter in prunable}
    with pytest.raises(PluginError, match="torch.bool"):
        masks.check_mask(given, prunable, "mine")


def test_a_checked_mask_is_the_harness_own_copy(prunable) -> None:
    given = all_true(prunable)
    checked = masks.check_mask(given, prunable, "mine")
    given["a"].fill_(False)
    assert checked["a"].all()


def test_putting_a_mask_on_zeroes_even_infinite_weights(prunable) -> None:
    mask = all_true(prunable)
    mask["a"][0, 0] = False
    prunable[0][1].data[0, 0] = float("inf")
    masks.put_on(mask, prunable)
    assert prunable[0][1].tolist() == [[0.0, 1.0], [1.0, 1.0]]


def test_the_audit_names_the_tensor_that_leaks(prunable) -> None:
    mask = all_true(prunable)
    mask["b"][0, 1:] = False
    with pytest.raises(LeakError, match="2 pruned weights of 'b' are not zero after training"):
        masks.audit(mask, prunable, "after training")


def test_densities_and_counts(prunable) -> None:
    mask = all_true(prunable)
    mask["b"][0, 0] = False
    assert masks.densities(mask, prunable) == {"a": 1.0, "b": pytest.approx(2 / 3)}
    assert masks.pruned(mask) == 1
    assert masks.pruned(None) == 0
