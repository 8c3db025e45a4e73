"""The exact cut: the score, and among equal ones the place, that separates what lives from what is pruned.

A cut says the same as a mask of billions of weights in two numbers. It is found without sorting or copying the scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy
import torch
from torch import Tensor

from smc_harness.sparsity import bracket, histogram
from smc_harness.sparsity.pieces import Pieces, Ranked, count


@dataclass(frozen=True)
class Cut:
    """What lives: scores above `threshold`, and those equal to it at a flat index below `tie`."""

    threshold: float
    tie: int


def find_cuts(scores: Sequence[Tensor], pruned: Sequence[int], alive: Sequence[Tensor] | None = None) -> list[Cut]:
    """One cut for each number of living weights to prune.

    scores: floating tensors on one device, of any shapes, without NaN; the flat index counts through all of them in
    order. alive: bool tensors of the same shapes; what is not alive is in no cut, and does not count. All numbers are
    answered by the same pass, if there is luck with the sample (`bracket`), and exactly in any case.
    """
    pieces = Pieces(scores, alive)
    size = sum(tensor.numel() for tensor in scores)
    ranks = sorted({number for number in pruned if 0 < number < pieces.total})
    find = histogram.lowest if histogram.fits(pieces) else bracket.lowest
    cuts = {ranked.rank: Cut(ranked.value, _tie(pieces, ranked)) for ranked in (find(pieces, ranks) if ranks else [])}
    return [cuts.get(number, Cut(-torch.inf, size) if number <= 0 else Cut(torch.inf, 0)) for number in pruned]


def living(scores: Sequence[Tensor], cut: Cut, alive: Sequence[Tensor] | None = None) -> list[Tensor]:
    """The mask of a cut: bool tensors like the scores."""
    masks: list[Tensor] = []
    start = 0
    # a threshold from another tensor may not be a number of this one's dtype
    common = Pieces(scores).dtype if len({tensor.dtype for tensor in scores}) > 1 else None
    for number, tensor in enumerate(scores):
        flat = tensor.detach().reshape(-1).to(common or tensor.dtype)
        before = min(max(cut.tie - start, 0), flat.numel())
        keep = torch.empty_like(flat, dtype=torch.bool)
        _compare("greater_equal", flat[:before], cut.threshold, keep[:before])
        _compare("greater", flat[before:], cut.threshold, keep[before:])
        if alive is not None:
            keep &= alive[number].reshape(-1)
        masks.append(keep.view(tensor.shape))
        start += flat.numel()
    return masks


@torch.no_grad()
def shrink(weights: Sequence[Tensor], cut: Cut) -> None:
    """Zero in place what a cut of the magnitudes prunes. Needs no mask and no copy: one read and one write.

    weights: tensors whose absolute values, in the same order, the cut is of.
    """
    start = 0
    for tensor in weights:
        flat = tensor.detach().view(-1)
        before = min(max(cut.tie - start, 0), flat.numel())
        threshold = torch.tensor(cut.threshold, dtype=flat.dtype)
        below = torch.nextafter(threshold, torch.full_like(threshold, -torch.inf))
        for part, limit in ((flat[:before], below), (flat[before:], threshold)):
            torch.ops.aten.hardshrink.out(part, limit.item(), out=part)
        start += flat.numel()


def _compare(how: str, scores: Tensor, threshold: float, out: Tensor) -> None:
    """Compare into `out`: numpy writes bools several times as fast as torch, but knows no bfloat16."""
    if scores.device.type == "cpu" and scores.dtype in (torch.float32, torch.float64):
        getattr(numpy, how)(scores.numpy(), threshold, out=out.numpy())
    else:
        getattr(torch, how)(scores, threshold, out=out)


def _tie(pieces: Pieces, found: Ranked) -> int:
    """The place at which equal scores stop being kept: the first ones are, as many as the rank leaves."""
    kept = found.lower + found.equal - found.rank
    if not kept:
        return 0
    kept -= found.passed
    for index in range(found.first, len(pieces)):
        equal = pieces.equal(index, found.value)
        if (here := count(equal)) >= kept:
            return pieces.place(index, int(equal.nonzero()[kept - 1])) + 1
        kept -= here
    raise AssertionError("more equal scores were counted than there are")
