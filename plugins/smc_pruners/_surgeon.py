"""The optimal brain surgeon for a linear layer whose outputs share one Hessian (Frantar & Alistarh 2023, algorithm 1).

Pruning a weight of column c costs w^2 / U_cc^2, where H^-1 = U' U; what the pruned ones of a column leave undone, the
columns after it make up for. Weights are held turned, so that a column is contiguous, and what one column asks of those
far from it is put off until it can be done for many at once.
"""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor

from smc_harness.declarations.structure import NofM, Pattern
from smc_harness.errors import PluginError
from smc_harness.sparsity.cut import find_cuts, living
from smc_harness.sparsity.patterns import beyond_n_of_m

_NEAR = 16
"""Columns that are updated one after another."""


class Wanted(Protocol):
    """columns: whose masks are chosen together. damping: as a share of the mean of the diagonal. exact: see `prune`."""

    @property
    def columns(self) -> int: ...
    @property
    def damping(self) -> float: ...
    @property
    def exact(self) -> bool: ...


def prune(
    weight: Tensor, hessian: Tensor, level: float, pattern: Pattern | None, wanted: Wanted, alive: Tensor | None = None
) -> Tensor:
    """Prune a matrix in place, and move what lives. Returns the mask, True = keep.

    weight: [outputs, inputs]. hessian: [inputs, inputs], X X' in float32 or wider, in which all is computed; a feature
    that is never read makes its column zero. alive: what was pruned before stays so. The count is exact, spread evenly
    over the groups of columns, or without `exact` one more than the level in each group, as in the authors' code.
    Raises PluginError where the Hessian cannot be inverted.
    """
    inputs = hessian.shape[0]
    unread = hessian.diagonal() == 0
    factor = inverse_factor(hessian, wanted.damping)
    columns = weight.t().to(hessian.dtype).contiguous()
    columns[unread] = 0
    lives = torch.ones_like(columns, dtype=torch.bool) if alive is None else alive.t().contiguous()
    kept = torch.empty_like(lives)
    total = math.floor(level * weight.numel() + 0.5)
    for start in range(0, inputs, wanted.columns):
        group = slice(start, min(start + wanted.columns, inputs))
        if isinstance(pattern, NofM):
            errors = _sweep(columns[group], factor[group, group], kept[group], lives[group], pattern)
        else:
            scores = _costs(columns[group], factor[group, group], lives[group])
            count = _until(total, group.stop, inputs) - _until(total, start, inputs)
            kept[group] = _cheapest_gone(scores, count) if wanted.exact else _at_most(scores, level)
            kept[group] &= lives[group]
            errors = _sweep(columns[group], factor[group, group], kept[group], lives[group], None)
        columns[group.stop :].addmm_(factor[group, group.stop :].t(), errors, alpha=-1)
    weight.copy_(columns.t())
    return kept.t()


def inverse_factor(hessian: Tensor, damping: float) -> Tensor:
    """Upper triangular U with (H + damping x mean of the diagonal)^-1 = U' U.

    With R R' = H of an upper triangular R, which is Cholesky's factor seen from the last row and column on, U = R^-1:
    one factorisation where inverting H takes two.
    """
    flipped = hessian.flip(0, 1)
    diagonal = flipped.diagonal()
    diagonal += (diagonal == 0).to(diagonal.dtype)
    diagonal += damping * diagonal.mean()
    lower: Tensor
    lower, failed = torch.linalg.cholesky_ex(flipped)
    if failed:
        raise PluginError(f"damping={damping:g} leaves a Hessian that cannot be inverted; a larger one would work")
    identity = torch.eye(len(hessian), dtype=hessian.dtype, device=hessian.device)
    inverse: Tensor = torch.linalg.solve_triangular(lower, identity, upper=False)
    return inverse.flip(0, 1).contiguous()


def _costs(columns: Tensor, factor: Tensor, lives: Tensor) -> Tensor:
    """What each weight costs; dead ones are free."""
    return (columns / factor.diagonal().unsqueeze(1)).square_().masked_fill_(~lives, -torch.inf)


def _until(total: int, column: int, columns: int) -> int:
    """How many of all that are to go are in the first columns."""
    return (2 * total * column + columns) // (2 * columns)


def _cheapest_gone(scores: Tensor, count: int) -> Tensor:
    (cut,) = find_cuts([scores], [count])
    return living([scores], cut)[0]


def _at_most(scores: Tensor, level: float) -> Tensor:
    """As the authors' code chooses: what costs no more than the weight at that place in the order of costs."""
    place = min(int(scores.numel() * level), scores.numel() - 1)
    return scores > scores.reshape(-1).kthvalue(place + 1).values


def _sweep(columns: Tensor, factor: Tensor, kept: Tensor, lives: Tensor, pattern: NofM | None) -> Tensor:
    """Zero what is not kept, column by column, the later ones of the group making up for it.

    pattern: with one, `kept` is chosen on the way, when its first column is reached. Returns the errors, [columns,
    outputs], that the columns after the group have to make up for.
    """
    errors = torch.empty_like(columns)
    near = _NEAR if pattern is None else pattern.m * math.ceil(_NEAR / pattern.m)
    for start in range(0, len(columns), near):
        stop = min(start + near, len(columns))
        for place in range(start, stop):
            if pattern is not None and (place - start) % pattern.m == 0:
                these = slice(place, min(place + pattern.m, len(columns)))
                costs = _costs(columns[these], factor[these, these], lives[these])
                kept[these] = lives[these] & ~beyond_n_of_m(costs.t(), pattern.n, pattern.m, lives[these].t()).t()
            torch.mul(columns[place], ~kept[place], out=errors[place])
            columns[place] *= kept[place]
            errors[place] /= factor[place, place]
            columns[place + 1 : stop].addr_(factor[place, place + 1 : stop], errors[place], alpha=-1)
        columns[stop:].addmm_(factor[start:stop, stop:].t(), errors[start:stop], alpha=-1)
    return errors
