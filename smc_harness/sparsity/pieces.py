"""Tensors of scores as a row of small pieces, so that looking at all of them needs no second copy of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import reduce
from itertools import pairwise
from typing import TypeVar

import numpy
import torch
from torch import Tensor

_SIZE = 2**18
"""Scores of a piece: a megabyte in float32, which stays near a core while several things are asked of it."""
_HISTOGRAM = 2**20
"""Of a piece in 16 bits, whose scores are counted once into 65 536 bins."""
_RUN = 16
"""Neighbours that are drawn together: a cache line of float32."""
_ELSEWHERE = 2**24
"""Of a piece on another device, to which every question has to travel."""

Found = TypeVar("Found")
Array = numpy.ndarray


@dataclass(frozen=True)
class Ranked:
    """The score of a rank (from 1, the lowest), how many scores are lower, and how many equal it.

    passed: how many of the equal ones are in the pieces before `first`, which need not be looked at any more.
    """

    rank: int
    value: float
    lower: int
    equal: int
    first: int = 0
    passed: int = 0


@dataclass
class Pieces:
    """The living scores of some tensors, in flat order.

    tensors: floating, all on one device. alive: bool tensors of the same shapes; None where all live. dtype: in which
    pieces come: what holds all of them exactly, of those that compare on every device.
    """

    tensors: Sequence[Tensor]
    alive: Sequence[Tensor] | None = None
    dtype: torch.dtype = field(init=False)
    total: int = field(init=False)

    def __post_init__(self) -> None:
        self._flat = [tensor.detach().reshape(-1) for tensor in self.tensors]
        self._living = None if self.alive is None else [tensor.reshape(-1) for tensor in self.alive]
        self.dtype = reduce(torch.promote_types, (tensor.dtype for tensor in self._flat), torch.float32)
        self.on_cpu = all(tensor.device.type == "cpu" for tensor in self._flat)
        narrow = all(tensor.element_size() == 2 for tensor in self._flat)
        sizes = [tensor.numel() for tensor in self._flat]
        most = (_HISTOGRAM if narrow else _SIZE) if self.on_cpu else _ELSEWHERE
        self.size = size = max(1, min(most, max(sizes, default=0)))
        self._starts = numpy.cumsum([0, *sizes])
        self._bounds = [
            (number, start, min(start + size, length))
            for number, length in enumerate(sizes)
            for start in range(0, length, size)
        ]
        self.total = sum(sizes) if self._living is None else sum(count(tensor) for tensor in self._living)

    def __len__(self) -> int:
        return len(self._bounds)

    def raw(self, index: int) -> Tensor:
        """The living scores of a piece, as they are."""
        number, start, stop = self._bounds[index]
        piece = self._flat[number][start:stop]
        return piece if self._living is None else piece[self._living[number][start:stop]]

    def array(self, index: int) -> Array:
        """The living scores of a piece on the CPU; not to be changed."""
        return self.wide(index).numpy()

    def wide(self, index: int) -> Tensor:
        """The living scores of a piece."""
        return self.raw(index).to(self.dtype)

    def equal(self, index: int, value: float) -> Tensor:
        """Which scores of a piece, dead ones counted, live and equal a value; bool."""
        number, start, stop = self._bounds[index]
        equal = _equal(self._flat[number][start:stop], value)
        return equal if self._living is None else equal & self._living[number][start:stop]

    def place(self, index: int, within: int) -> int:
        """Flat index, among all scores, of one of a piece, dead ones counted."""
        number, start, _ = self._bounds[index]
        return int(self._starts[number]) + start + within

    def sample(self, size: int) -> tuple[Array, float]:
        """About `size` scores, sorted, and how many of them tell as much as one drawn alone (their design effect).

        From places far apart, each at random within its stretch, comes one score; or, where that is to be had without
        asking for more memory than a few cache lines, a run of neighbours, which may be alike.
        """
        draw = numpy.random.Generator(numpy.random.PCG64(0))
        runs = self.on_cpu and self._living is None
        run = _RUN if runs and all(flat.numel() >= _RUN for flat in self._flat if flat.numel()) else 1
        stretch = max(1.0, float(self._starts[-1]) / size) * run
        drawn = []
        for number, flat in enumerate(self._flat):
            if not (places := flat.numel() // run):
                continue
            count = int(flat.numel() / stretch) or 1
            starts = (numpy.arange(count) + draw.random(count)) * (places / count)
            rows = torch.from_numpy(starts.astype(numpy.int64)).to(flat.device)
            # several times as fast as an index, but slow where a row is one score
            chosen = (flat[: places * run].view(-1, run) if run > 1 else flat).index_select(0, rows)
            if self._living is not None:
                chosen = chosen[self._living[number].index_select(0, rows)]
            drawn.append(chosen.to(self.dtype).cpu().numpy().reshape(-1, run))
        joined: Array = numpy.concatenate(drawn)
        alike = _design_effect(joined)
        values = joined.reshape(-1)
        values.sort()
        return values, alike

    def each(self, look: Callable[[range], Found]) -> list[Found]:
        """What `look` finds in runs of pieces: as many as torch may use threads, in order."""
        threads = max(1, min(torch.get_num_threads() if self.on_cpu else 1, len(self)))
        edges = [round(i * len(self) / threads) for i in range(threads + 1)]
        runs = [range(first, last) for first, last in pairwise(edges)]
        if threads == 1:
            return [look(run) for run in runs]
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(look, runs))


def _design_effect(runs: Array) -> float:
    """The variance of a rank told by runs of scores, as a multiple of that told by as many scores drawn alone."""
    if runs.shape[1] == 1 or not len(runs):
        return 1.0
    some = numpy.sort(runs[:: max(1, len(runs) // 1000)], axis=None)
    shares = (runs < some[len(some) // 2]).mean(axis=1)
    apart = shares.mean() * (1 - shares.mean()) / runs.shape[1]
    return max(1.0, float(shares.var() / apart)) if apart > 0 else float(runs.shape[1])


def _equal(scores: Tensor, value: float) -> Tensor:
    """Which scores equal a value; none where it is no number of their dtype."""
    wanted = torch.tensor(value, dtype=torch.float64).to(scores.dtype)
    if float(wanted) != value:
        return torch.zeros_like(scores, dtype=torch.bool)
    if scores.device.type != "cpu" or scores.element_size() != 2:
        return scores == wanted
    # twenty times as fast as torch compares 16 bits; a zero has one sign or the other
    bits = scores.view(torch.int16).numpy()
    return torch.from_numpy(bits << 1 == 0 if value == 0.0 else bits == wanted.view(torch.int16).item())


def has_nan(scores: Tensor) -> bool:
    """Whether any score is NaN. A sum is NaN then; otherwise only where infinities of both signs meet."""
    if scores.device.type == "cpu" and scores.element_size() == 2 and scores.numel() and scores.is_contiguous():
        # twenty times as fast as torch adds up 16 bits: beyond infinity, of either sign, is no number
        bits = scores.detach().view(torch.int16).numpy()
        infinity = int(torch.tensor(torch.inf, dtype=scores.dtype).view(torch.int16))
        return bool(bits.max() > infinity or bits.view(numpy.uint16).max() > infinity + 2**15)
    return bool(torch.isnan(scores.sum(dtype=torch.promote_types(scores.dtype, torch.float32)))) and bool(
        torch.isnan(scores).any()
    )


def count(flags: Tensor) -> int:
    """How many of a bool tensor are True. numpy counts bytes several times as fast as torch adds them up."""
    return int(numpy.count_nonzero(flags.numpy())) if flags.device.type == "cpu" else int(flags.sum())
