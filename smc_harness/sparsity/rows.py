"""Every row of a matrix keeps its own highest scores: the comparison group of an output (Sun et al. 2024, Wanda)."""

from __future__ import annotations

import numpy
import torch
from torch import Tensor

_CHUNK = 2**22
"""Scores that are ranked at once."""


def shares(kept: int, living: Tensor) -> Tensor:
    """How many each row keeps: as equal as can be, `kept` in all, none more than it has living.

    living: [rows] integers that add up to `kept` or more. Where shares differ by one, the first rows have more.
    """
    counts = torch.zeros_like(living)
    while (left := kept - int(counts.sum())) > 0:
        able = counts < living
        if share := left // int(able.sum()):
            counts = torch.minimum(living, counts + share)
        else:
            counts[able.nonzero().view(-1)[:left]] += 1
    return counts


def keep_rows(scores: Tensor, kept: Tensor, alive: Tensor | None = None) -> Tensor:
    """The mask in which row i keeps its kept[i] highest living scores, of equal ones the first.

    scores: [rows, columns] without NaN. kept: [rows] integers, none more than the row has living.
    """
    mask = torch.empty_like(scores, dtype=torch.bool)
    step = max(1, _CHUNK // max(1, scores.shape[1]))
    for start in range(0, len(scores), step):
        part = slice(start, start + step)
        mask[part] = _keep(scores[part], kept[part], alive[part] if alive is not None else None)
    return mask


def _keep(scores: Tensor, kept: Tensor, alive: Tensor | None) -> Tensor:
    if alive is not None:
        scores = scores.masked_fill(~alive, -torch.inf)
    columns = scores.shape[1]
    pruned = columns - kept
    if not columns or not bool(pruned.any()):
        return torch.ones_like(scores, dtype=torch.bool)
    # of a row that keeps everything, any threshold will do
    threshold = _lowest(scores, pruned.clamp(min=1)).unsqueeze(1)
    keep = scores > threshold
    lacking = kept - keep.sum(1)
    if bool(lacking.any()):
        rows = lacking.nonzero().view(-1)
        ties = scores[rows] == threshold[rows]
        if alive is not None:
            ties &= alive[rows]
        keep[rows] |= ties & (ties.cumsum(1) <= lacking[rows].unsqueeze(1))
    return keep


def _lowest(scores: Tensor, ranks: Tensor) -> Tensor:
    """[rows] the score of each row's rank, from 1."""
    found = torch.empty_like(scores[:, 0])
    for rank in torch.unique(ranks).tolist():
        rows = (ranks == rank).nonzero().view(-1)
        chosen = scores if len(rows) == len(scores) else scores[rows]
        if scores.device.type == "cpu" and scores.dtype != torch.bfloat16:
            # several times as fast as torch's
            found[rows] = torch.from_numpy(numpy.partition(chosen.numpy(), rank - 1, axis=1)[:, rank - 1])
        else:
            found[rows] = chosen.kthvalue(rank, dim=1).values
    return found
