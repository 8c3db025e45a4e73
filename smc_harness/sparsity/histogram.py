"""Order statistics of scores in 16 bits: there are only 65 536 of them, so one pass counts each."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy
import torch

from smc_harness.sparsity.pieces import Array, Pieces, Ranked

_PATTERNS = 2**16
_PARTS = 16
"""Histograms that each thread keeps apart, to know later where to look for a value."""


def fits(pieces: Pieces) -> bool:
    """Whether all scores are of one dtype of 16 bits."""
    return {tensor.dtype for tensor in pieces.tensors} in ({torch.bfloat16}, {torch.float16})


def lowest(pieces: Pieces, ranks: Sequence[int]) -> list[Ranked]:
    """The scores of these ranks, from 1 for the lowest to `pieces.total`. Scores must be numbers or infinite."""
    parts = [part for found in pieces.each(lambda run: _count(pieces, run)) for part in found]
    values, number = _values(pieces.tensors[0].dtype)
    by_part = numpy.stack([numpy.bincount(number, weights=part, minlength=len(values) + 1)[:-1] for _, part in parts])
    equal = by_part.sum(axis=0).astype(numpy.int64)
    up_to = equal.cumsum()
    ranked = []
    for rank in ranks:
        at = int(numpy.searchsorted(up_to, rank))
        kept = int(up_to[at]) - rank
        passed = numpy.concatenate([[0], by_part[:, at].cumsum()]).astype(numpy.int64)
        part = int(numpy.searchsorted(passed, max(kept, 1))) - 1
        first, before = parts[part][0], int(passed[part])
        ranked.append(Ranked(rank, float(values[at]), int(up_to[at] - equal[at]), int(equal[at]), first, before))
    return ranked


def _count(pieces: Pieces, run: range) -> list[tuple[int, Array]]:
    """For each part of a run its first piece, and how often every pattern of bits occurs in it."""
    step = max(1, -(-len(run) // _PARTS))
    found = []
    for first in range(run.start, run.stop, step):
        counts = torch.zeros(_PATTERNS, dtype=torch.int64)
        for index in range(first, min(first + step, run.stop)):
            bits = pieces.raw(index).view(torch.int16)
            if bits.numel() and (bits.numpy() if pieces.on_cpu else bits).min() < 0:
                counts += torch.bincount(bits.to(torch.int32) & (_PATTERNS - 1), minlength=_PATTERNS).cpu()
            else:  # as saliencies mostly are; and counted as they are
                positive = torch.bincount(bits, minlength=_PATTERNS // 2)
                counts[: len(positive)] += positive.cpu()
        found.append((first, counts.numpy()))
    return found


@lru_cache
def _values(dtype: torch.dtype) -> tuple[Array, Array]:
    """All values in rising order, and for every pattern of bits the place of its value; NaN is at a place too many."""
    floats = torch.arange(_PATTERNS, dtype=torch.int32).to(torch.int16).view(dtype).float().numpy()
    numbers = ~numpy.isnan(floats)
    values, inverse = numpy.unique(floats[numbers], return_inverse=True)  # both zeros are one value
    places = numpy.full(_PATTERNS, len(values))
    places[numbers] = inverse
    return values, places
