"""Order statistics of scores that are too many to sort: a bracket from a sample, then one pass that counts.

A sorted sample tells between which two values a rank lies, but for bad luck. One pass over the scores counts those
above the bracket and collects those in it; the rank is found among the few collected. Where the bracket missed, or
held too many, what was counted narrows the next one. All ranks are looked for in the same pass. The answer is exact
whatever the sample was (Floyd and Rivest 1975 select by a sample's bracket in this way).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy
import torch
from torch import Tensor

from smc_harness.sparsity.pieces import Array, Pieces, Ranked

Number = numpy.float32 | numpy.float64

FEW = 2**16
"""Scores that are simply sorted."""
SAMPLE = 2**20
"""For one rank; more ranks share a larger one, so that all brackets together hold no more."""
COLLECTED = 2**22
"""Scores that a pass may collect, or a 32nd of them all if that is more."""
_SPREAD = 3.5
"""Standard errors of the sample's rank on each side of a bracket."""
_FLAGS = 2**21
"""Bytes of flags, one for each edge and score, that stay near a core."""
_TALLIED = 255
"""Ones that a byte can add up."""


@dataclass
class _Search:
    """A rank (from 1) that is looked for, and what is known: it lies in [low, high], `lower` scores are below that
    interval and `inside` in it. sample: sorted scores of the interval; alike: so many of them tell as much as one drawn
    alone. seen: a pass collected of just this interval, but not all.
    """

    rank: int
    low: Number
    high: Number
    lower: int
    inside: int
    sample: Array
    alike: float
    seen: bool = False

    def bracket(self) -> tuple[Number, Number]:
        """Two values between which it should be."""
        within = self.sample
        share = (self.rank - self.lower - 0.5) / self.inside
        centre = share * len(within)
        if self.seen:
            # one value, that is it or is none of the rest: no way to a bracket that never gets narrower
            middle = within[min(len(within) - 1, int(centre))]
            return middle, middle
        margin = _SPREAD * math.sqrt(len(within) * share * (1 - share) * self.alike) + 2 * self.alike
        first, last = math.floor(centre - margin), math.ceil(centre + margin)
        low = within[first] if first >= 0 else self.low
        high = within[last] if last < len(within) else self.high
        return low, high

    def narrow(self, low: Number, high: Number, lower: int, inside: int, sample: Array) -> None:
        """Go on within what a pass showed of a bracket [low, high]: `lower` scores below it and `inside` in it."""
        if self.rank <= lower:
            self.high, self.inside = -_next(-low), lower - self.lower
            self.seen = False
        elif self.rank > lower + inside:
            self.inside -= lower + inside - self.lower
            self.low, self.lower = _next(high), lower + inside
            self.seen = False
        else:
            self.low, self.high, self.lower, self.inside = low, high, lower, inside
            self.sample, self.seen = sample, len(sample) > 0  # none, where another interval took the room
        first, last = numpy.searchsorted(self.sample, self.low), numpy.searchsorted(self.sample, self.high, "right")
        self.sample = self.sample[first:last]


@dataclass(frozen=True)
class _Asked:
    """Edges. The scores not below them are to be counted for the first `counted`; brackets begin or end at those from
    `turning` on.
    """

    edges: Array
    counted: int
    turning: int


@dataclass
class _Seen:
    """What a run of pieces showed. above: of each counted edge, how many scores are not below it. collected: those in
    any bracket, piece by piece; or every `stride`-th of them.
    """

    above: Array
    stride: int = 1
    collected: list[Array] = field(default_factory=list)
    held: int = 0

    def collect(self, values: Array, room: int) -> None:
        taken = values[:: self.stride]
        self.collected.append(taken)
        self.held += len(taken)
        while self.held > room:
            self.stride *= 4
            self.collected = [numpy.concatenate(self.collected)[::4]]
            self.held = len(self.collected[0])


@dataclass
class _Collected:
    """values: in flat order. ends: how many there are up to the end of each piece, if these are all. complete: whether
    they are.
    """

    values: Array
    ends: Array
    complete: bool

    @classmethod
    def of(cls, seen: Sequence[_Seen]) -> _Collected:
        arrays = [values for part in seen for values in part.collected]
        ends = numpy.cumsum([len(values) for values in arrays])
        return cls(numpy.concatenate(arrays), ends, all(part.stride == 1 for part in seen))

    def where(self, value: Number, count: int) -> tuple[int, int]:
        """The piece in which the `count`-th score of a value is, and how many of them the pieces before it have."""
        if not count:
            return 0, 0
        places = numpy.flatnonzero(self.values == value)
        piece = int(numpy.searchsorted(self.ends, places[count - 1], "right"))
        return piece, int(numpy.searchsorted(places, self.ends[piece - 1])) if piece else 0


def lowest(pieces: Pieces, ranks: Sequence[int]) -> list[Ranked]:
    """The scores of these ranks, from 1 for the lowest to `pieces.total`. Scores must be numbers or infinite."""
    if pieces.total <= FEW:
        return _sorted(pieces, ranks)
    kind = numpy.float64 if pieces.dtype.itemsize == 8 else numpy.float32
    sample, alike = pieces.sample(SAMPLE * min(2, len(set(ranks))))
    low, high = kind(-numpy.inf), kind(numpy.inf)
    searches = {rank: _Search(rank, low, high, 0, pieces.total, sample, alike) for rank in sorted(set(ranks))}
    found: dict[int, Ranked] = {}
    thorough = False
    while searches:
        brackets = {rank: search.bracket() for rank, search in searches.items()}
        above, collected = _look(pieces, list(brackets.values()), thorough)
        if not collected.complete and not thorough:
            thorough = True  # what could not be collected has to be counted
            continue
        values = numpy.sort(collected.values)
        for rank, (low, high) in brackets.items():
            first, last = numpy.searchsorted(values, low), numpy.searchsorted(values, high, "right")
            lower = pieces.total - above[low]
            inside = int(last - first) if collected.complete else above[low] - above[_after(high)]
            contained = lower < rank <= lower + inside
            if contained and low == high:
                found[rank] = Ranked(rank, float(low), lower, inside)
            elif contained and collected.complete:
                value = values[first + rank - lower - 1]
                start, end = numpy.searchsorted(values, value), numpy.searchsorted(values, value, "right")
                below, equal = lower + int(start - first), int(end - start)
                found[rank] = Ranked(rank, float(value), below, equal, *collected.where(value, below + equal - rank))
            else:
                searches[rank].narrow(low, high, lower, inside, values[first:last])
                continue
            del searches[rank]
    return [found[rank] for rank in ranks]


def _sorted(pieces: Pieces, ranks: Sequence[int]) -> list[Ranked]:
    """The scores of these ranks, where there are so few that sorting them is quicker than anything cleverer."""
    values = numpy.concatenate([pieces.wide(index).cpu().numpy() for index in range(len(pieces))])
    values.sort()
    found = values[numpy.array(ranks) - 1]
    starts, ends = numpy.searchsorted(values, found), numpy.searchsorted(values, found, "right")
    return [
        Ranked(rank, float(value), int(start), int(end - start))
        for rank, value, start, end in zip(ranks, found, starts, ends, strict=True)
    ]


def _look(
    pieces: Pieces, brackets: Sequence[tuple[Number, Number]], thorough: bool
) -> tuple[dict[Number, int], _Collected]:
    """One pass: how many scores are not below the lower edge of each bracket, and the scores in any bracket.

    thorough: count those not below the upper edges, too. An edge that is none, since nothing comes after infinity,
    has no score above it.
    """
    ends = [(low, _after(high)) for low, high in brackets]
    edges = sorted({edge for end in ends for edge in end if not numpy.isnan(edge)})
    # which of the stretches that begin at an edge belong to a bracket
    wanted = [any(low <= edge and not edge >= after for low, after in ends) for edge in edges]
    turns = {edge for edge, now, before in zip(edges, wanted, [False, *wanted], strict=False) if now != before}
    counted = set(edges) if thorough else {low for low, _ in ends}
    rows = sorted(counted - turns) + sorted(counted & turns) + sorted(turns - counted)
    asked = _Asked(numpy.array(rows), len(counted), len(rows) - len(turns))

    def look(run: range) -> _Seen:
        seen = _Seen(numpy.zeros(len(counted), dtype=numpy.int64))
        room = max(COLLECTED, pieces.total // 32) * len(run) // len(pieces)
        if pieces.on_cpu:
            _look_at_arrays((pieces.array(index) for index in run), pieces.size, asked, seen, room)
        else:
            _look_at_tensors((pieces.wide(index) for index in run), asked, seen, room)
        return seen

    seen = pieces.each(look)
    above = numpy.sum([part.above for part in seen], axis=0).tolist()
    return defaultdict(int, zip(rows, above, strict=False)), _Collected.of(seen)


def _look_at_arrays(arrays: Iterable[Array], size: int, asked: _Asked, seen: _Seen, room: int) -> None:
    """A score is in a bracket if, of the edges at which brackets begin and end, it has passed an odd number.

    Few calls that do much: between two of them, a thread waits for the others to let it go on.
    """
    edges = asked.edges[:, numpy.newaxis]
    step = max(1, min(size, _FLAGS // len(edges)))
    flags = numpy.empty((len(edges), step), dtype=numpy.uint8)
    tally = numpy.zeros((asked.counted, step), dtype=numpy.uint8)
    odd = numpy.empty(size, dtype=numpy.uint8)
    tallied = 0
    for array in arrays:
        for start in range(0, len(array), step):
            if tallied == _TALLIED:
                seen.above += tally.sum(axis=1, dtype=numpy.int64)
                tally.fill(0)
                tallied = 0
            part = array[start : start + step]
            passed = flags[:, : len(part)]
            numpy.greater_equal(part, edges, out=passed.view(bool))
            tally[:, : len(part)] += passed[: asked.counted]
            tallied += 1
            numpy.bitwise_xor.reduce(passed[asked.turning :], axis=0, out=odd[start : start + len(part)])
        seen.collect(array.take(numpy.flatnonzero(odd[: len(array)].view(bool))), room)
    seen.above += tally.sum(axis=1, dtype=numpy.int64)


def _look_at_tensors(tensors: Iterable[Tensor], asked: _Asked, seen: _Seen, room: int) -> None:
    """The same on another device."""
    for tensor in tensors:
        within = torch.zeros_like(tensor, dtype=torch.bool)
        for number, edge in enumerate(asked.edges.tolist()):
            passed = tensor >= edge
            if number < asked.counted:
                seen.above[number] += int(passed.sum())
            if number >= asked.turning:
                within ^= passed
        seen.collect(tensor[within].cpu().numpy(), room)


def _after(value: Number) -> Number:
    """The next number up; NaN, which no score reaches, after infinity."""
    return type(value)(numpy.nan) if value == numpy.inf else _next(value)


def _next(value: Number) -> Number:
    with numpy.errstate(over="ignore"):  # after the largest number comes infinity
        found: Number = numpy.nextafter(value, type(value)(numpy.inf))
        return found
