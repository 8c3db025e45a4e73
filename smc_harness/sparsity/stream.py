"""The exact cut of scores that come one tensor after another, and are never held together.

A floating number in order is an integer in order, of as many bits. Counting the upper 16 of them tells which the rank's
are; another pass counts the next 16 among those, until all are known: once over scores of 16 bits, twice of 32. What is
held is one tensor and 65 536 counts, whatever there is to rank.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy
import torch
from torch import Tensor

from smc_harness.sparsity.pieces import count

_BITS = 16
_VALUES = 2**_BITS
_INTEGERS = {2: torch.int16, 4: torch.int32, 8: torch.int64}
_PIECE = 2**20
"""Scores whose integers are held at once."""


@dataclass
class StreamedCut:
    """What lives, told of one tensor after another in the order in which they were ranked.

    threshold: as an integer in order. equal: how many scores at the threshold live, the first ones. all_live: where
    nothing is pruned.
    """

    threshold: int = 0
    equal: int = 0
    all_live: bool = False
    _passed: int = field(default=0, repr=False)

    def living(self, scores: Tensor) -> Tensor:
        """The mask of the next tensor, True = keep."""
        if self.all_live:
            return torch.ones_like(scores, dtype=torch.bool)
        keep = torch.empty(scores.shape, dtype=torch.bool, device=scores.device)
        for part, whole in zip(
            torch.split(scores.detach().reshape(-1), _PIECE), torch.split(keep.view(-1), _PIECE), strict=True
        ):
            order = _in_order(part)
            _compare("greater", order, self.threshold, whole)
            if self._passed < self.equal:
                self._keep_equal(order, whole)
        return keep

    def _keep_equal(self, order: Tensor, keep: Tensor) -> None:
        """Of the scores at the threshold, as many as are still to live."""
        equal = torch.empty_like(keep)
        _compare("equal", order, self.threshold, equal)
        if self._passed + (here := count(equal)) > self.equal:
            equal[equal.nonzero().view(-1)[self.equal - self._passed :]] = False
        keep |= equal
        self._passed = min(self.equal, self._passed + here)


def find_cut(scores: Callable[[], Iterable[Tensor]], pruned: int) -> StreamedCut:
    """The cut below which the `pruned` lowest of all scores are; of equal ones the last go.

    scores: all of them again at every call, floating, of one dtype, without NaN. pruned: fewer than there are.
    """
    if pruned <= 0:
        return StreamedCut(all_live=True)
    left, prefix, known = pruned, 0, 0  # the rank within those whose upper `known` bits are `prefix`
    while True:
        counts, width = _count(scores(), prefix, known)
        sums = counts.cumsum(0)
        digit = int(torch.searchsorted(sums, left))
        left -= int(sums[digit - 1]) if digit else 0
        prefix = (prefix << _BITS) + (digit if known else digit - _VALUES // 2)  # the uppermost bit is the sign
        known += _BITS
        if known == width:
            return StreamedCut(prefix, int(counts[digit]) - left)


def _count(scores: Iterable[Tensor], prefix: int, known: int) -> tuple[Tensor, int]:
    """How often each of the next 16 bits occurs after a prefix, and how many bits a score has."""
    counts, width = torch.zeros(_VALUES, dtype=torch.int64), 0
    for tensor in scores:
        width = 8 * tensor.element_size()
        for part in torch.split(tensor.detach().reshape(-1), _PIECE):
            order = _in_order(part)
            if known:
                order = order[order >> (width - known) == prefix]
                digits = (order >> (width - known - _BITS)) & (_VALUES - 1)
            elif width == _BITS and order.data_ptr() == part.data_ptr():  # none below zero: counted as they are
                positive = torch.bincount(order, minlength=_VALUES // 2).cpu()
                counts[_VALUES // 2 :][: len(positive)] += positive
                continue
            else:
                digits = (order >> (width - _BITS)).to(torch.int32) + _VALUES // 2
            counts += torch.bincount(digits, minlength=_VALUES).cpu()
    return counts, width


def _compare(how: str, order: Tensor, threshold: int, out: Tensor) -> None:
    """Compare into `out`: numpy writes bools several times as fast as torch."""
    if order.device.type == "cpu":
        getattr(numpy, how)(order.numpy(), threshold, out=out.numpy())
    else:
        getattr(torch, {"greater": "gt", "equal": "eq"}[how])(order, threshold, out=out)


def _in_order(scores: Tensor) -> Tensor:
    """Integers of the same size that compare as the scores do; both zeros are one."""
    kind = _INTEGERS[scores.element_size()]
    bits = scores.view(kind)
    if bits.numel() and (bits.numpy() if bits.device.type == "cpu" else bits).min() >= 0:
        return bits  # as saliencies mostly are
    bits = (scores + 0.0).view(kind)  # -0.0 + 0.0 is 0.0
    # below zero, larger patterns are smaller numbers
    return bits ^ ((bits >> (8 * scores.element_size() - 1)) & torch.iinfo(kind).max)
