"""How many weights every tensor keeps, where the budget is not spread by one ranking of all of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence


def kept_counts(
    shapes: Mapping[str, Sequence[int]], alive: Mapping[str, int], kept: int, allocation: str
) -> dict[str, int]:
    """{name: weights to keep}, which add up to `kept` exactly.

    shapes: of the tensors. alive: {name: weights that may be kept}. kept: not more than all of those.
    allocation: `uniform`, or `erk`: density proportional to sum(shape) / prod(shape) (Mocanu et al. 2018 for
    matrices; Evci et al. 2020, section 3, for kernels). A tensor that would need more weights than it has stays
    dense, and the rest is shared by the others in the same proportion. Fractions of a weight go to the largest
    remainders, in scope order where they are equal.
    """
    rates = {name: _rate(shape, allocation) for name, shape in shapes.items()}
    ideal = _fill(rates, alive, kept)
    counts = {name: math.floor(ideal[name]) for name in shapes}
    by_remainder = sorted(shapes, key=lambda name: counts[name] - ideal[name])
    for name in by_remainder[: kept - sum(counts.values())]:
        counts[name] += 1
    return counts


def _rate(shape: Sequence[int], allocation: str) -> float:
    """What the number of kept weights of a tensor is proportional to."""
    if allocation not in ("uniform", "erk"):
        raise ValueError(f"allocation {allocation!r} given; uniform or erk would work")
    size = math.prod(shape)
    return float(size if allocation == "uniform" else sum(shape) * bool(size))


def _fill(rates: Mapping[str, float], alive: Mapping[str, int], kept: int) -> dict[str, float]:
    """min(alive, t x rate), with the t for which they add up to `kept`."""
    ideal = dict.fromkeys(rates, 0.0)
    # those that are full first come first, so that one pass settles them
    waiting = sorted((name for name in rates if rates[name]), key=lambda name: alive[name] / rates[name])
    total, remaining = sum(rates.values()), float(kept)
    for name in waiting:
        ideal[name] = min(float(alive[name]), rates[name] * remaining / total)
        total -= rates[name]
        remaining -= ideal[name]
    return ideal
