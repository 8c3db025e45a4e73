"""Patterns of pruned weights within a tensor: N of M along a row, and tiles.

Every tensor is seen as a matrix: its first dimension, and all others flattened. A vector is one row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from smc_harness.declarations.structure import NofM, Pattern

_CHUNK = 2**20
"""Weights that are compared within their groups at once."""


@dataclass(frozen=True)
class Tiles:
    """scores: [tiles down, tiles across], the mean over each tile. sizes: their weights. alive: some of them live."""

    scores: Tensor
    sizes: Tensor
    alive: Tensor


def beyond_n_of_m(scores: Tensor, n: int, m: int, alive: Tensor) -> Tensor:
    """True for the living weights that the complete pattern prunes: all but the `n` best of every group of `m`.

    Dead weights are the worst of their group. Among equal scores the lowest index is kept. Same shape as `scores`.
    """
    if not scores.numel():
        return torch.zeros_like(scores, dtype=torch.bool)
    wide, living = as_matrix(scores), as_matrix(alive)
    rows = max(1, _CHUNK // wide.shape[1])
    parts = [
        _beyond(wide[start : start + rows], n, m, living[start : start + rows]) for start in range(0, len(wide), rows)
    ]
    return torch.cat(parts).reshape(scores.shape)


def _beyond(scores: Tensor, n: int, m: int, alive: Tensor) -> Tensor:
    """`beyond_n_of_m` of a matrix.

    A weight's place is the number of better living ones in its group, found by comparing all pairs: in a group of a few
    weights many times as fast as sorting.
    """
    groups, length = _groups(scores, m, 0)
    living, _ = _groups(alive, m, False)
    members, lives = groups.permute(2, 0, 1).contiguous(), living.permute(2, 0, 1).contiguous()
    places = torch.zeros_like(members, dtype=torch.int16)
    for later in range(m):
        for earlier in range(later):
            earlier_first = members[earlier] >= members[later]
            places[later] += earlier_first & lives[earlier]
            places[earlier] += ~earlier_first & lives[later]
    spared = torch.full((groups.shape[1],), n, dtype=torch.int16, device=scores.device)
    rest = length - m * (groups.shape[1] - 1)
    spared[-1] = rest - rest * (m - n) // m
    beyond = (places >= spared) & lives
    return beyond.permute(1, 2, 0).flatten(1)[:, :length]


def tiles(scores: Tensor, rows: int, columns: int, alive: Tensor) -> Tiles:
    """Mean score and number of weights of every tile."""
    matrix = as_matrix(scores).double()
    sizes = _tiled(torch.ones_like(matrix), rows, columns)
    means = _tiled(matrix, rows, columns) / sizes
    means[torch.isnan(means)] = torch.inf  # +inf and -inf in one tile
    return Tiles(means, sizes.long(), _tiled(as_matrix(alive).double(), rows, columns) > 0)


def keep_tiles(tiled: Sequence[Tiles], pruned: int) -> list[Tensor]:
    """Bool tensors like the scores of each: all but the lowest tiles, which together have at most `pruned` weights.

    Where the next tile does not fit any more, the lowest of the smaller ones that do are taken.
    """
    scores = torch.cat([item.scores.reshape(-1) for item in tiled])
    sizes = torch.cat([item.sizes.reshape(-1) for item in tiled])
    alive = torch.cat([item.alive.reshape(-1) for item in tiled])
    best_first = scores.argsort(descending=True, stable=True)
    worst_first = best_first[alive[best_first].int().argsort(descending=True, stable=True)].flip(0)
    fits = sizes[worst_first].cumsum(0) <= pruned
    gone, rest = worst_first[fits], worst_first[~fits]
    keep = torch.ones_like(scores, dtype=torch.bool)
    keep[gone] = False
    left = pruned - int(sizes[gone].sum())
    while len(rest := rest[sizes[rest] <= left]):
        keep[rest[0]] = False
        left -= int(sizes[rest[0]])
        rest = rest[1:]
    pieces = torch.split(keep, [item.scores.numel() for item in tiled])
    return [piece.view_as(item.scores) for piece, item in zip(pieces, tiled, strict=True)]


def untile(keep: Tensor, shape: torch.Size, rows: int, columns: int) -> Tensor:
    """Every tile's value at each of its weights; the inverse of tiling."""
    down, across = _sides(shape)
    wide = keep.repeat_interleave(rows, 0)[:down].repeat_interleave(columns, 1)[:, :across]
    return wide.reshape(shape)


def broken(mask: Mapping[str, Tensor], pattern: Pattern) -> str | None:
    """The name of a tensor in which the mask does not keep to the pattern, or None."""
    for name, tensor in mask.items():
        if not tensor.numel():
            continue
        matrix = as_matrix(tensor)
        if isinstance(pattern, NofM):
            groups, _ = _groups(matrix, pattern.m, False)
            fits = bool((groups.sum(-1) <= pattern.n).all())
        else:
            living = _tiled(matrix.double(), pattern.rows, pattern.columns)
            sizes = _tiled(torch.ones_like(matrix, dtype=torch.double), pattern.rows, pattern.columns)
            fits = bool(((living == 0) | (living == sizes)).all())
        if not fits:
            return name
    return None


def _sides(shape: Sequence[int]) -> tuple[int, int]:
    if len(shape) < 2:
        return 1, int(torch.Size(shape).numel())
    return shape[0], int(torch.Size(shape[1:]).numel())


def as_matrix(tensor: Tensor) -> Tensor:
    """The first dimension, and all others flattened; a vector is one row."""
    return tensor.detach().reshape(_sides(tensor.shape))


def _groups(matrix: Tensor, m: int, padding: float | bool) -> tuple[Tensor, int]:
    """[rows, groups, m], the last group padded; and the length of a row."""
    rows, length = matrix.shape
    padded = torch.nn.functional.pad(matrix, (0, -length % m), value=padding)
    return padded.view(rows, -1, m), length


def _tiled(matrix: Tensor, rows: int, columns: int) -> Tensor:
    """Sums over tiles, [tiles down, tiles across]."""
    down, across = matrix.shape
    padded = torch.nn.functional.pad(matrix, (0, -across % columns, 0, -down % rows))
    return padded.view(padded.shape[0] // rows, rows, padded.shape[1] // columns, columns).sum((1, 3))
