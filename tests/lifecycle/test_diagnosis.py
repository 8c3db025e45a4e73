"""What the mask and the predictions tell about a failure."""

from __future__ import annotations

import pytest
import torch

from smc_harness import Outcomes
from smc_harness.lifecycle.diagnosis import diagnose


def outcomes(predictions: list[int] | None) -> Outcomes:
    count = len(predictions) if predictions else 2
    return Outcomes(torch.ones(count), predictions=torch.tensor(predictions) if predictions else None)


def test_a_tensor_that_is_pruned_whole_is_named() -> None:
    assert diagnose({"a": 0.5, "b": 0.0}, outcomes(None)) == ["b is 100 % pruned"]


def test_an_output_layer_that_is_pruned_whole_is_named_as_one() -> None:
    found = diagnose({"a.weight": 0.0, "head.weight": 0.0}, outcomes(None), head=("head.*",))
    assert found == ["output layer head.weight is 100 % pruned", "a.weight is 100 % pruned"]


@pytest.mark.parametrize(("density", "found"), [(0.06, []), (0.04, ["96.0 %"]), (0.0004, ["99.9 %"]), (0.0, ["100 %"])])
def test_an_output_layer_is_starved_below_a_tenth_of_the_density_of_the_scope(density, found) -> None:
    assert diagnose({"head": density}, outcomes(None), 0.5, head=("head",)) == [
        f"output layer head is {share} pruned" for share in found
    ]


def test_a_constant_prediction_is_named_with_its_count_and_the_tasks_own_word() -> None:
    assert diagnose({}, outcomes([3] * 1221)) == ["predicts one class for 1 221 of 1 221 examples"]
    assert diagnose({}, outcomes([0, 0]), prediction="sentence") == ["predicts one sentence for 2 of 2 examples"]


def test_an_output_layer_is_named_where_the_whole_scope_is_pruned() -> None:
    found = diagnose({"a": 0.0, "head.w": 0.0}, outcomes(None), 1.0, head=("head.*",))
    assert found == ["output layer head.w is 100 % pruned", "a is 100 % pruned"]


def test_a_single_glob_may_be_a_text() -> None:
    assert diagnose({"b": 0.0, "head.w": 0.0}, outcomes(None), 0.9, head="head.*")[1] == "b is 100 % pruned"


def test_a_healthy_model_gives_nothing_to_say() -> None:
    assert diagnose({"a": 0.5}, outcomes([0, 1])) == []
