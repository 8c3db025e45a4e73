"""How a pruner's budget is spread over the tensors, and in what units it is pruned. Torch is not imported."""

from __future__ import annotations

import re
from dataclasses import dataclass

from smc_harness.errors import UsageError, nearest

ALLOCATIONS = ("global", "uniform", "erk", "rows")


@dataclass(frozen=True)
class NofM:
    """At most `n` of every `m` consecutive weights of a row live, as sparse tensor cores want it with 2:4."""

    n: int
    m: int

    def __str__(self) -> str:
        return f"{self.n}:{self.m}"

    @property
    def level(self) -> float:
        """The sparsity of the complete pattern."""
        return 1.0 - self.n / self.m


@dataclass(frozen=True)
class Block:
    """Tiles of `rows` x `columns` weights live or go as a whole; those at the edge of a tensor may be smaller."""

    rows: int
    columns: int

    def __str__(self) -> str:
        return f"{self.rows}x{self.columns}"


Pattern = NofM | Block


@dataclass(frozen=True)
class Structure:
    """The allocation and the pattern of a pruner; orthogonal to its scores and its plan.

    allocation: `global` (one ranking of all weights), `uniform` (the same density in every tensor), `erk`
    (Erdos-Renyi-Kernel: a tensor's density follows sum of its dimensions / product of them) or `rows` (the same density
    in every row, each ranked by itself). pattern: None, N:M or block. An N:M pattern fixes the density of every tensor,
    so no allocation goes with it; neither is a block a part of a row.
    """

    allocation: str = "global"
    pattern: Pattern | None = None

    @property
    def levels(self) -> tuple[float, ...]:
        """The only levels that the pattern can have; empty where any level will do."""
        return (self.pattern.level,) if isinstance(self.pattern, NofM) else ()

    def __str__(self) -> str:
        return (
            str(self.pattern)
            if isinstance(self.pattern, NofM)
            else " ".join(filter(None, (self.allocation, str(self.pattern or ""))))
        )


def read_structure(allocation: str, pattern: str, plugin: str) -> Structure:
    """The structure that `allocation` and `pattern` write. Raises UsageError, which names the plugin."""
    if allocation not in ALLOCATIONS:
        raise UsageError(
            f"{plugin}: allocation={allocation} given; {', '.join(ALLOCATIONS)} would work"
            f"{nearest(allocation, ALLOCATIONS)}"
        )
    found = _read_pattern(pattern, plugin)
    if isinstance(found, NofM) and allocation != "global":
        raise UsageError(
            f"{plugin}: pattern={pattern} fixes the density of every tensor; leave allocation={allocation} out"
        )
    if isinstance(found, Block) and allocation == "rows":
        raise UsageError(f"{plugin}: pattern={pattern} prunes tiles; allocation=global, uniform or erk would work")
    return Structure(allocation, found)


def _read_pattern(text: str, plugin: str) -> Pattern | None:
    if text in ("", "none"):
        return None
    if match := re.fullmatch(r"(\d+):(\d+)", text):
        n, m = map(int, match.groups())
        if 0 < n < m:
            return NofM(n, m)
    if match := re.fullmatch(r"(\d+)x(\d+)", text):
        rows, columns = map(int, match.groups())
        if rows and columns:
            return Block(rows, columns)
    raise UsageError(f"{plugin}: pattern={text} given; N:M such as 2:4, or ROWSxCOLUMNS such as 4x4, would work")
