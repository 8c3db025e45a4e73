"""Why a cell may have failed, as far as it can be seen from the mask and the predictions."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence

from smc_harness.declarations.outcomes import Outcomes

_STARVED = 0.1
"""An output layer with less than this share of the density of the whole scope has next to nothing left."""


def diagnose(
    densities: Mapping[str, float],
    outcomes: Outcomes,
    realised: float = 0.0,
    head: Sequence[str] | str = (),
    prediction: str = "class",
) -> list[str]:
    """One line for each finding, what explains most first.

    They are: a model that predicts the same for every example; an output layer that is pruned, or all but pruned;
    other tensors that are pruned whole.
    realised: the sparsity of the scope. head: globs over the names of the output layers' tensors. prediction: what the
    task calls what it predicts.
    """
    found = []
    patterns = (head,) if isinstance(head, str) else tuple(head)
    predictions = outcomes.predictions
    if predictions is not None and len(predictions) > 1 and bool((predictions == predictions[0]).all()):
        count = f"{len(predictions):,}".replace(",", " ")
        found.append(f"predicts one {prediction} for {count} of {count} examples")
    outputs = [name for name in densities if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)]
    found += [
        f"output layer {name} is {_percent(densities[name])} pruned"
        for name in outputs
        if densities[name] == 0.0 or densities[name] < _STARVED * (1.0 - realised)
    ]
    whole = [name for name, density in densities.items() if density == 0.0 and name not in outputs]
    return found + [f"{name} is 100 % pruned" for name in whole]


def _percent(density: float) -> str:
    """The pruned share; never rounded up to all of it."""
    return "100 %" if density == 0.0 else f"{min(100.0 * (1.0 - density), 99.9):.1f} %"
