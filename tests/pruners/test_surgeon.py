"""SparseGPT's arithmetic against the surgeon's own formula, an inverse for every column, in float64."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch
from smc_pruners._surgeon import inverse_factor, prune
from torch import Tensor

from smc_harness.declarations.structure import NofM
from smc_harness.errors import PluginError
from smc_harness.sparsity.patterns import broken


@dataclass
class Wanted:
    columns: int = 128
    damping: float = 0.01
    exact: bool = True


def drawn(outputs: int = 6, inputs: int = 24, tokens: int = 60, seed: int = 0) -> tuple[Tensor, Tensor]:
    """A weight, and the Hessian of features that are much alike."""
    draw = torch.Generator().manual_seed(seed)
    features = torch.randn(tokens, inputs, generator=draw) @ torch.randn(inputs, inputs, generator=draw)
    return torch.randn(outputs, inputs, generator=draw), features.t() @ features


def by_hand(
    weight: Tensor, hessian: Tensor, level: float, pattern: NofM | None, columns: int, damping: float
) -> tuple[Tensor, Tensor]:
    """Mask and weights, each column with the inverse of what is left of the Hessian (eq. 3 of the paper)."""
    weight, hessian = weight.double().clone(), hessian.double()
    hessian = hessian + damping * hessian.diagonal().mean() * torch.eye(len(hessian), dtype=torch.float64)
    outputs, inputs = weight.shape
    kept = torch.ones(weight.shape, dtype=torch.bool)
    inverses = [torch.linalg.inv(hessian[column:, column:]) for column in range(inputs)]
    costs = torch.stack([inverse[0, 0] for inverse in inverses])
    total, gone = round(level * weight.numel()), 0
    for column in range(inputs):
        if pattern is not None and column % pattern.m == 0:
            group = slice(column, column + pattern.m)
            order = (weight[:, group] ** 2 / costs[group]).argsort(dim=1)
            kept[:, group].scatter_(1, order[:, : pattern.m - pattern.n], False)
        if pattern is None and column % columns == 0:
            group = slice(column, min(column + columns, inputs))
            until = math.floor(total * group.stop / inputs + 0.5)
            scores = (weight[:, group] ** 2 / costs[group]).flatten()
            chosen = torch.ones_like(scores, dtype=torch.bool)
            chosen[scores.argsort()[: until - gone]] = False
            kept[:, group] = chosen.view(outputs, -1)
            gone = until
        errors = weight[:, column] * ~kept[:, column] / inverses[column][0, 0]
        weight[:, column:] -= errors.unsqueeze(1) * inverses[column][0]
        weight[:, column] *= kept[:, column]
    return kept, weight


@pytest.mark.parametrize("columns", [5, 8, 24, 128])
@pytest.mark.parametrize("level", [0.25, 0.5, 0.8])
def test_mask_and_weights_are_those_of_an_inverse_for_every_column(level: float, columns: int) -> None:
    weight, hessian = drawn()
    kept, expected = by_hand(weight, hessian, level, None, columns, 0.01)
    found = prune(weight, hessian, level, None, Wanted(columns))
    assert torch.equal(found, kept) and int((~found).sum()) == round(level * weight.numel())
    assert torch.allclose(weight.double() * found, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("pattern", "inputs"), [(NofM(2, 4), 24), (NofM(1, 2), 24), (NofM(4, 8), 40), (NofM(1, 3), 54)]
)
def test_n_of_m_is_chosen_on_the_way_after_the_columns_before(pattern: NofM, inputs: int) -> None:
    weight, hessian = drawn(inputs=inputs, tokens=90)
    kept, expected = by_hand(weight, hessian, pattern.level, pattern, 128, 0.01)
    found = prune(weight, hessian, pattern.level, pattern, Wanted(columns=pattern.m * 6))
    assert torch.equal(found, kept) and broken({"weight": found}, pattern) is None
    assert torch.allclose(weight.double(), expected, rtol=1e-3, atol=1e-4)


def test_features_that_are_not_alike_leave_the_other_weights_as_they_are() -> None:
    weight = torch.tensor([[3.0, -1.0, 2.0, 0.5]])
    before = weight.clone()
    kept = prune(weight, torch.diag(torch.tensor([1.0, 100.0, 1.0, 1.0])), 0.5, None, Wanted(damping=1e-6))
    # (w x norm)^2 is 9, 100, 4, 0.25
    assert kept.tolist() == [[True, True, False, False]]
    assert torch.equal(weight, before * kept)


def test_of_two_features_that_are_the_same_one_takes_over_the_others_weight() -> None:
    weight = torch.tensor([[1.0, 2.0]])
    kept = prune(weight, torch.full((2, 2), 5.0), 0.5, None, Wanted(damping=1e-4))
    assert kept.tolist() == [[False, True]]
    assert weight.tolist() == [[0.0, pytest.approx(3.0, abs=1e-3)]]


def test_a_feature_that_is_never_read_loses_its_weights_values() -> None:
    weight, hessian = drawn()
    hessian[3], hessian[:, 3] = 0, 0
    prune(weight, hessian, 0.25, None, Wanted())
    assert torch.isfinite(weight).all() and (weight[:, 3] == 0).all()


def test_what_was_pruned_before_stays_so_and_counts() -> None:
    weight, hessian = drawn()
    alive = torch.rand(weight.shape, generator=torch.Generator().manual_seed(5)) > 0.2
    weight *= alive
    kept = prune(weight, hessian, 0.5, None, Wanted(columns=8), alive)
    assert int((~kept).sum()) == 72 and not (kept & ~alive).any()


def test_counting_as_the_authors_does_one_more_for_every_group_of_columns() -> None:
    weight, hessian = drawn()
    kept = prune(weight, hessian, 0.5, None, Wanted(columns=8, exact=False))
    assert [int((~part).sum()) for part in kept.split(8, dim=1)] == [25, 25, 25]


def test_a_half_precision_weight_is_pruned_in_float32_and_rounded_once() -> None:
    weight, hessian = drawn()
    half, wide = weight.bfloat16(), weight.bfloat16().float()
    kept, same = prune(half, hessian, 0.5, None, Wanted()), prune(wide, hessian, 0.5, None, Wanted())
    assert torch.equal(kept, same) and torch.equal(half, wide.bfloat16())


def test_the_factor_is_choleskys_of_the_inverse() -> None:
    _, hessian = drawn()
    hessian = hessian.double()
    damped = hessian + 0.01 * hessian.diagonal().mean() * torch.eye(len(hessian))
    expected = torch.linalg.cholesky(torch.linalg.inv(damped), upper=True)
    assert torch.allclose(inverse_factor(hessian, 0.01), expected, rtol=1e-8)


def test_a_hessian_that_is_none_is_refused() -> None:
    with pytest.raises(PluginError, match=r"damping=0.01 leaves a Hessian that cannot be inverted; a larger one"):
        prune(torch.ones(1, 2), torch.tensor([[1.0, 2.0], [2.0, 1.0]]), 0.5, None, Wanted())
