"""How many weights every tensor keeps, where the budget is not spread by one ranking of all of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence


def rates(shapes: Mapping[str, Sequence[int]], allocation: str) -> dict[str, float]:
    """{name: what the number of kept weights of a tensor is proportional to}.

    allocation: `uniform`, or `erk`: density proportional to sum(shape) / prod(shape) (Mocanu et al. 2018 for
    matrices; Evci et al. 2020, section 3, for kernels).
    """
    if allocation not in ("uniform", "erk"):
        raise ValueError(f"allocation {allocation!r} given; uniform or erk would work")
    sizes = {name: math.prod(shape) for name, shape in shapes.items()}
    uniform = allocation == "uniform"
    return {name: float(sizes[name] if uniform else sum(shape) * bool(sizes[name])) for name, shape in shapes.items()}


def kept_counts(rates: Mapping[str, float], alive: Mapping[str, int], kept: int) -> dict[str, int]:
    """{name: weights to keep}, which add up to `kept` exactly.

    alive: {name: weights that may be kept}. kept: not more than all of those. A tensor that would need more weights
    than it has stays dense, and the rest is shared by the others in the same proportion. Fractions of a weight go to
    the largest remainders, in scope order where they are equal.
    """
    ideal = _fill(rates, alive, kept)
    counts = {name: math.floor(ideal[name]) for name in rates}
    by_remainder = sorted(rates, key=lambda name: counts[name] - ideal[name])
    for name in by_remainder[: kept - sum(counts.values())]:
        counts[name] += 1
    return counts


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
