"""Exact selection of the weights that live.

The rule, everywhere: pruned = floor(level x N + 1/2); the lowest scores go; among equal scores the ones with the lowest
flat index, counted in the order of the scope, are kept. What is not `alive` is pruned whatever its score, also where
that is more than the level.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from smc_harness.declarations.plans import SAME_LEVEL
from smc_harness.declarations.structure import Block, NofM, Structure
from smc_harness.errors import PluginError
from smc_harness.sparsity import patterns
from smc_harness.sparsity.allocation import kept_counts

Scores = Mapping[str, Tensor]
"""{name: floating tensor of any shape, possibly empty}; -inf goes first, +inf last."""

Mask = Mapping[str, Tensor]
"""{name: bool tensor of the parameter's shape, True = keep}."""


def pruned_count(level: float, total: int) -> int:
    """floor(level x total + 1/2), for a level in [0, 1)."""
    if not 0.0 <= level < 1.0:
        raise PluginError(f"level {level!r} given; a level in [0, 1) would work")
    return min(total, math.floor(level * total + 0.5))


def select(scores: Scores, level: float, structure: Structure, alive: Mask | None = None) -> dict[str, Tensor]:
    """Keep the highest scores under any allocation and pattern. See the functions below."""
    match structure.pattern:
        case NofM(n=n, m=m):
            return select_n_m(scores, n, m, level, alive)
        case Block(rows=rows, columns=columns):
            return select_blocks(scores, level, rows, columns, structure.allocation, alive)
    if structure.allocation == "global":
        return select_global(scores, level, alive)
    return select_layerwise(scores, level, structure.allocation, alive)


def select_global(scores: Scores, level: float, alive: Mask | None = None) -> dict[str, Tensor]:
    """Keep the highest scores over all tensors together.

    Returns: the mask, on the devices of the scores, with exactly floor(level x N + 1/2) weights False.
    Raises PluginError for a NaN or for a level outside [0, 1).
    """
    flat = [_flat(name, tensor) for name, tensor in scores.items()]
    total = sum(piece.numel() for piece in flat)
    count = pruned_count(level, total)
    if count == 0 and alive is None:
        return {name: torch.ones_like(tensor, dtype=torch.bool) for name, tensor in scores.items()}
    joined = torch.cat(flat)
    if alive is None:
        keep = keep_highest(joined, count)
    else:
        keep = torch.cat([alive[name].reshape(-1) for name in scores])
        living = joined[keep]
        keep[keep.clone()] = keep_highest(living, count - (total - living.numel()))
    pieces = torch.split(keep, [piece.numel() for piece in flat])
    return {
        name: piece.view(tensor.shape).to(tensor.device)
        for (name, tensor), piece in zip(scores.items(), pieces, strict=True)
    }


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
    budget = _budget(scores, level, allocation, alive)
    mask = {}
    for name, tensor in scores.items():
        keep = _living(tensor, name, alive).reshape(-1)
        living = _flat(name, tensor)[keep]
        keep[keep.clone()] = keep_highest(living, living.numel() - budget[name])
        mask[name] = keep.view(tensor.shape)
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
    for name, tensor in scores.items():
        _flat(name, tensor)
    candidates = {
        name: patterns.beyond_n_of_m(tensor, n, m, _living(tensor, name, alive)) for name, tensor in scores.items()
    }
    if level is not None and level < full - SAME_LEVEL:
        total = sum(tensor.numel() for tensor in scores.values())
        pool = torch.cat([_flat(name, tensor)[candidates[name].reshape(-1)] for name, tensor in scores.items()])
        dead = sum(int((~_living(tensor, name, alive)).sum()) for name, tensor in scores.items())
        spared = keep_highest(pool, min(pool.numel(), pruned_count(level, total) - dead))
        start = 0
        for chosen in candidates.values():
            size = int(chosen.sum())
            chosen[chosen.clone()] = ~spared[start : start + size]
            start += size
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
    tiles = {}
    for name, tensor in scores.items():
        _flat(name, tensor)
        tiles[name] = patterns.tiles(tensor, rows, columns, _living(tensor, name, alive))
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


def keep_highest(scores: Tensor, pruned: int) -> Tensor:
    """All but the `pruned` lowest of a flat tensor; all of it where `pruned` is not positive."""
    if pruned <= 0:
        return torch.ones_like(scores, dtype=torch.bool)
    threshold = kth_lowest(scores, pruned)
    keep = scores >= threshold
    surplus = pruned - (scores.numel() - int(keep.sum()))
    ties = (scores == threshold).nonzero().view(-1)
    keep[ties[ties.numel() - surplus :]] = False
    return keep


def kth_lowest(scores: Tensor, k: int) -> Tensor:
    """The k-th lowest value of a flat tensor, k from 1.

    Among equal values kthvalue could find any on a GPU, for which torch before 2.10 refuses it under strictly
    repeatable algorithms. The value is the same whichever it finds.
    """
    strictness = torch.get_deterministic_debug_mode()
    torch.set_deterministic_debug_mode("default")
    try:
        return torch.kthvalue(scores, k).values
    finally:
        torch.set_deterministic_debug_mode(strictness)


def _budget(scores: Scores, level: float, allocation: str, alive: Mask | None) -> dict[str, int]:
    """{name: weights to keep}."""
    total = sum(tensor.numel() for tensor in scores.values())
    living = {name: int(_living(tensor, name, alive).sum()) for name, tensor in scores.items()}
    kept = min(total - pruned_count(level, total), sum(living.values()))
    return kept_counts({name: tensor.shape for name, tensor in scores.items()}, living, kept, allocation)


def _living(scores: Tensor, name: str, alive: Mask | None) -> Tensor:
    return torch.ones_like(scores, dtype=torch.bool) if alive is None else alive[name].clone()


def _flat(name: str, tensor: Tensor) -> Tensor:
    if torch.isnan(tensor).any():
        raise PluginError(f"scores of {name!r} hold NaN; every score must be a number or +-inf")
    # bfloat16 and float16 embed exactly in float32; float64 keeps its precision
    wide = tensor.detach().reshape(-1)
    return wide if wide.dtype == torch.float64 else wide.float()
