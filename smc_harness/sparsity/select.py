"""Exact selection of the weights that live.

The rule, everywhere: pruned = floor(level x N + 1/2); the lowest scores go; among equal scores the ones with the lowest
flat index, counted in the order of the scope, are kept.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from smc_harness.errors import PluginError


def pruned_count(level: float, total: int) -> int:
    """floor(level x total + 1/2), for a level in [0, 1)."""
    if not 0.0 <= level < 1.0:
        raise PluginError(f"level {level!r} given; a level in [0, 1) would work")
    return min(total, math.floor(level * total + 0.5))


def select_global(
    scores: Mapping[str, Tensor], level: float, alive: Mapping[str, Tensor] | None = None
) -> dict[str, Tensor]:
    """Keep the highest scores over all tensors together.

    scores: {name: floating tensor of any shape, possibly empty}; -inf goes first, +inf last.
    level: share of all scores to prune, in [0, 1).
    alive: {name: bool tensor}; what is False there is pruned whatever its score, also where that is more than `level`.
    Returns: {name: bool tensor of the same shape and device, True = keep}, exactly floor(level x N + 1/2) False.
    Raises PluginError for a NaN or for a level outside [0, 1).
    """
    flat = [_flat(name, tensor) for name, tensor in scores.items()]
    total = sum(piece.numel() for piece in flat)
    count = pruned_count(level, total)
    if count == 0 and alive is None:
        return {name: torch.ones_like(tensor, dtype=torch.bool) for name, tensor in scores.items()}
    joined = torch.cat(flat)
    if alive is None:
        keep = _keep_highest(joined, count)
    else:
        keep = torch.cat([alive[name].reshape(-1) for name in scores])
        living = joined[keep]
        keep[keep.clone()] = _keep_highest(living, count - (total - living.numel()))
    pieces = torch.split(keep, [piece.numel() for piece in flat])
    return {
        name: piece.view(tensor.shape).to(tensor.device)
        for (name, tensor), piece in zip(scores.items(), pieces, strict=True)
    }


def _flat(name: str, tensor: Tensor) -> Tensor:
    if torch.isnan(tensor).any():
        raise PluginError(f"scores of {name!r} hold NaN; every score must be a number or +-inf")
    # bfloat16 and float16 embed exactly in float32; float64 keeps its precision
    wide = tensor.detach().reshape(-1)
    return wide if wide.dtype == torch.float64 else wide.float()


def _keep_highest(scores: Tensor, pruned: int) -> Tensor:
    """All but the `pruned` lowest of a flat tensor; all of it where `pruned` is not positive."""
    if pruned <= 0:
        return torch.ones_like(scores, dtype=torch.bool)
    threshold = torch.kthvalue(scores, pruned).values
    keep = scores >= threshold
    surplus = pruned - (scores.numel() - int(keep.sum()))
    ties = (scores == threshold).nonzero().view(-1)
    keep[ties[ties.numel() - surplus :]] = False
    return keep
