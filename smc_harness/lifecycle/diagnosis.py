"""Why a cell may have failed, as far as it can be seen from the mask and the predictions."""

from __future__ import annotations

from collections.abc import Mapping

from smc_harness.cells import show_level
from smc_harness.declarations.outcomes import Outcomes

_MISSED = 0.01
"""A difference between asked and realised sparsity that rounding does not explain, from a hundred weights on."""


def diagnose(
    densities: Mapping[str, float], outcomes: Outcomes, level: float | None = None, realised: float = 0.0
) -> list[str]:
    """One line for each finding: a sparsity that is not what was asked for, tensors that are pruned whole, and a model
    that predicts a single class."""
    found = []
    if level is not None and abs(realised - level) > _MISSED:
        found.append(f"{show_level(level)} was asked for, {realised:.4g} is realised")
    found += [f"{name} is 100 % pruned" for name, density in densities.items() if density == 0.0]
    predictions = outcomes.predictions
    if predictions is not None and len(predictions) > 1 and bool((predictions == predictions[0]).all()):
        found.append(f"predicts class {int(predictions[0])} for {len(predictions)} of {len(predictions)} examples")
    return found
