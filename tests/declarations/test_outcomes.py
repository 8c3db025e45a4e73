"""Outcomes of one evaluation, and of two beside each other."""

from __future__ import annotations

import pytest
import torch

from smc_harness import Outcomes


@pytest.mark.parametrize(
    ("one", "other", "share"),
    [
        ([1.0, 0.0, 1.0, 1.0], [1.0, 0.0, 0.0, 1.0], 0.75),
        ([[1.0, 2.0], [3.0, 4.0]], [[1.0, 2.0], [3.0, 5.0]], 0.5),
        ([1.0], [1.0], 1.0),
    ],
)
def test_two_agree_on_examples_whose_values_are_all_the_same(
    one: list[float], other: list[float], share: float
) -> None:
    assert Outcomes(torch.tensor(one)).agreement(Outcomes(torch.tensor(other))) == share


def test_codes_of_predictions_do_not_enter() -> None:
    one, other = (Outcomes(torch.ones(2), predictions=Outcomes.codes(words)) for words in (["a", "a"], ["a", "b"]))
    assert one.agreement(other) == 1.0
