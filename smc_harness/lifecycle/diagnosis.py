"""Why a cell may have failed, as far as it can be seen from the mask and the predictions."""

from __future__ import annotations

from collections.abc import Mapping

from smc_harness.declarations.outcomes import Outcomes


def diagnose(densities: Mapping[str, float], outcomes: Outcomes) -> list[str]:
    """One line for each finding: tensors that are pruned whole, and a model that predicts a single class."""
    found = [f"{name} is 100 % pruned" for name, density in densities.items() if density == 0.0]
    predictions = outcomes.predictions
    if predictions is not None and len(predictions) > 1 and bool((predictions == predictions[0]).all()):
        found.append(f"predicts class {int(predictions[0])} for {len(predictions)} of {len(predictions)} examples")
    return found
