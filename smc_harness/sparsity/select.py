"""Exact selection of the weights that live.

The rule, everywhere: pruned = floor(level x N + 1/2); the lowest scores go; among equal scores the ones with the lowest
flat index, counted in the order of the scope, are kept. What is not `alive` is pruned whatever its score, also where
that is more than the level.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

import torch
from torch import Tensor

from smc_harness.declarations.plans import SAME_LEVEL
from smc_harness.declarations.structure import Block, NofM, Structure
from smc_harness.errors import PluginError, UsageError
from smc_harness.sparsity import patterns, rows
from smc_harness.sparsity.allocation import kept_counts, rates
from smc_harness.sparsity.cut import find_cuts, living
from smc_harness.sparsity.pieces import count, has_nan

Scores = Mapping[str, Tensor]
"""{name: floating tensor of any shape, possibly empty}; -inf goes first, +inf last."""

Mask = Mapping[str, Tensor]
"""{name: bool tensor of the parameter's shape, True = keep}."""


def pruned_count(level: float, total: int) -> int:
    """floor(level x total + 1/2), for a level in [0, 1)."""
    if not 0.0 <= level < 1.0:
        raise PluginError(f"level {level!r} given; a level in [0, 1) would work")
    return min(total, math.floor(level * total + 0.5))


def select(
    scores: Scores,
    level: float,
    structure: Structure,
    alive: Mask | None = None,
    turned: Collection[str] = (),
) -> dict[str, Tensor]:
    """Keep the highest scores under any allocation and pattern. See the functions below.

    turned: the names of matrices that are [inputs, outputs]; what goes by rows takes them as [outputs, inputs].
    """
    if turned and (structure.pattern is not None or structure.allocation == "rows"):
        living = turn(alive, turned) if alive is not None else None
        return turn(select(turn(scores, turned), level, structure, living), turned)
    match structure.pattern:
        case NofM(n=n, m=m):
            return select_n_m(scores, n, m, level, alive)
        case Block(rows=rows, columns=columns):
            return select_blocks(scores, level, rows, columns, structure.allocation, alive)
    if structure.allocation == "global":
        return select_global(scores, level, alive)
    if structure.allocation == "rows":
        return select_rows(scores, level, alive)
    return select_layerwise(scores, level, structure.allocation, alive)


def turn(tensors: Mapping[str, Tensor], turned: Collection[str]) -> dict[str, Tensor]:
    """The same with rows for columns in the matrices of these names."""
    return {name: tensor.t() if name in turned else tensor for name, tensor in tensors.items()}


def select_global(scores: Scores, level: float, alive: Mask | None = None) -> dict[str, Tensor]:
    """Keep the highest scores over all tensors together.

    Returns: the mask, on the devices of the scores, with exactly floor(level x N + 1/2) weights False.
    Raises PluginError for a NaN or for a level outside [0, 1).
    """
    _check_numbers(scores)
    tensors, flags = list(scores.values()), _flags(scores, alive)
    total = sum(tensor.numel() for tensor in tensors)
    dead = total - sum(map(count, flags)) if flags is not None else 0
    (cut,) = find_cuts(tensors, [pruned_count(level, total) - dead], flags)
    return dict(zip(scores, living(tensors, cut, flags), strict=True))


def select_uniform(scores: Scores, level: float, alive: Mask | None = None) -> dict[str, Tensor]:
    """Keep the highest scores of each tensor, the same share of every one; the total is exact."""
    return select_layerwise(scores, level, "uniform", alive)


def select_erk(scores: Scores, level: float, alive: Mask | None = None) -> dict[str, Tensor]:
    """Keep the highest scores of each tensor, at Erdos-Renyi-Kernel densities; the total is exact."""
    return select_layerwise(scores, level, "erk", alive)


def select_layerwise(scores: Scores, level: float, allocation: str, alive: Mask | None = None) -> dict[str, Tensor]:
    """Keep the highest scores of each tensor, as many as the allocation gives it (`kept_counts`).

    Returns and raises as `select_global`.
    """
    _check_numbers(scores)
    budget = _budget(scores, level, allocation, alive)
    mask = {}
    for name, tensor in scores.items():
        flags = None if alive is None else [alive[name]]
        lives = tensor.numel() if alive is None else count(alive[name])
        (cut,) = find_cuts([tensor], [lives - budget[name]], flags)
        (mask[name],) = living([tensor], cut, flags)
    return mask


def select_rows(scores: Scores, level: float, alive: Mask | None = None) -> dict[str, Tensor]:
    """Keep the highest scores of each row (first dimension; a vector is one row), the same share of every row.

    The total is exact; where the shares of two rows differ, then by one weight.
    Returns and raises as `select_global`.
    """
    _check_numbers(scores)
    budget = _budget(scores, level, "uniform", alive)
    mask = {}
    for name, tensor in scores.items():
        matrix = patterns.as_matrix(tensor)
        lives = patterns.as_matrix(alive[name]) if alive is not None else None
        sizes = torch.full((len(matrix),), matrix.shape[1]) if lives is None else lives.sum(1).cpu()
        kept = rows.shares(budget[name], sizes).to(tensor.device)
        mask[name] = rows.keep_rows(matrix, kept, lives).view(tensor.shape)
    return mask


def select_n_m(
    scores: Scores, n: int, m: int, level: float | None = None, alive: Mask | None = None
) -> dict[str, Tensor]:
    """Keep the `n` highest scores of every `m` consecutive ones in a row (the last dimensions, flattened).

    A shorter group at the end of a row prunes floor(length x (m - n) / m). level: None for the complete pattern, which
    any level within 0.002 of 1 - n/m stands for, too (a rung of an iterative pruner); below it, only the lowest scores
    among what the pattern would prune go, exactly as many as the level asks for.
    Returns and raises as `select_global`; PluginError for a level that the pattern does not reach, too.
    """
    full = 1.0 - n / m
    if level is not None and level > full + SAME_LEVEL:
        raise PluginError(f"level {level!r} given; {n}:{m} reaches {full:g} and no more")
    _check_numbers(scores)
    candidates = {
        name: patterns.beyond_n_of_m(tensor, n, m, _living(tensor, name, alive)) for name, tensor in scores.items()
    }
    if level is not None and level < full - SAME_LEVEL:
        total = sum(tensor.numel() for tensor in scores.values())
        dead = total - sum(map(count, alive.values())) if alive is not None else 0
        pool = [candidates[name] for name in scores]
        (cut,) = find_cuts(list(scores.values()), [pruned_count(level, total) - dead], pool)
        for chosen, spared in zip(pool, living(list(scores.values()), cut, pool), strict=True):
            chosen &= ~spared
    return {name: _living(tensor, name, alive) & ~candidates[name] for name, tensor in scores.items()}


def select_blocks(
    scores: Scores, level: float, rows: int, columns: int, allocation: str = "global", alive: Mask | None = None
) -> dict[str, Tensor]:
    """Keep tiles of `rows` x `columns` weights with the highest mean scores.

    Whole tiles go, from the lowest mean on, as long as no more weights are pruned than floor(level x N + 1/2):
    what is realised is below the level by less than a tile, or than one in each tensor where the allocation is not
    global. A tile with a +inf in it has a mean of +inf.
    Returns and raises as `select_global`.
    """
    _check_numbers(scores)
    tiles = {
        name: patterns.tiles(tensor, rows, columns, _living(tensor, name, alive)) for name, tensor in scores.items()
    }
    if allocation == "global":
        total = sum(tensor.numel() for tensor in scores.values())
        kept = patterns.keep_tiles(list(tiles.values()), pruned_count(level, total))
    else:
        budget = _budget(scores, level, allocation, alive)
        kept = [patterns.keep_tiles([tiles[name]], tensor.numel() - budget[name])[0] for name, tensor in scores.items()]
    return {
        name: patterns.untile(keep, tensor.shape, rows, columns) & _living(tensor, name, alive)
        for (name, tensor), keep in zip(scores.items(), kept, strict=True)
    }


def shares(
    shapes: Mapping[str, Sequence[int]],
    level: float,
    structure: Structure,
    densities: Mapping[str, float] | None,
    who: str,
) -> dict[str, float]:
    """{name: level of that tensor}, which depends on shapes alone, or on densities where these are given.

    Raises UsageError for the allocation `global`.
    """
    if isinstance(structure.pattern, NofM):
        return dict.fromkeys(shapes, level)
    if structure.allocation == "global":
        raise UsageError(f"{who}: allocation=global given; it prunes layer by layer: rows, uniform or erk would work")
    sizes = {name: math.prod(shape) for name, shape in shapes.items()}
    if densities is not None:
        wanted = {name: densities[name] * size for name, size in sizes.items()}
    else:
        wanted = rates(shapes, "uniform" if structure.allocation == "rows" else structure.allocation)
    total = sum(sizes.values())
    kept = kept_counts(wanted, sizes, total - pruned_count(level, total))
    # a level of 1 is none, and less than half a weight below it counts the same
    return {name: min(1 - kept[name] / size, 1 - 0.25 / size) if size else 0.0 for name, size in sizes.items()}


def _budget(scores: Scores, level: float, allocation: str, alive: Mask | None) -> dict[str, int]:
    """{name: weights to keep}."""
    total = sum(tensor.numel() for tensor in scores.values())
    lives = {name: t.numel() if alive is None else count(alive[name]) for name, t in scores.items()}
    kept = min(total - pruned_count(level, total), sum(lives.values()))
    return kept_counts(rates({name: tensor.shape for name, tensor in scores.items()}, allocation), lives, kept)


def _living(scores: Tensor, name: str, alive: Mask | None) -> Tensor:
    return torch.ones_like(scores, dtype=torch.bool) if alive is None else alive[name].clone()


def _flags(scores: Scores, alive: Mask | None) -> list[Tensor] | None:
    return None if alive is None else [alive[name] for name in scores]


def _check_numbers(scores: Scores) -> None:
    for name, tensor in scores.items():
        if has_nan(tensor):
            raise PluginError(f"scores of {name!r} hold NaN; every score must be a number or +-inf")
