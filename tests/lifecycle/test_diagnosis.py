"""What the mask and the predictions tell about a failure."""

from __future__ import annotations

import torch

from smc_harness import Outcomes
from smc_harness.lifecycle.diagnosis import diagnose


def outcomes(predictions: list[int] | None) -> Outcomes:
    count = len(predictions) if predictions else 2
    return Outcomes(torch.ones(count), predictions=torch.tensor(predictions) if predictions else None)


def test_a_tensor_that_is_pruned_whole_is_named() -> None:
    assert diagnose({"a": 0.5, "head": 0.0}, outcomes(None)) == ["head is 100 % pruned"]


def test_a_constant_prediction_is_named_with_its_count() -> None:
    assert diagnose({}, outcomes([3, 3, 3])) == ["predicts class 3 for 3 of 3 examples"]


def test_a_healthy_model_gives_nothing_to_say() -> None:
    assert diagnose({"a": 0.5}, outcomes([0, 1])) == []
