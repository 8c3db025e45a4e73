"""Memory is counted exactly: tensors that live at once, each storage once."""

from __future__ import annotations

import torch

from smc_harness.conformance.cost import Held, cost_of


def test_two_tensors_at_once_count_both() -> None:
    with Held() as held:
        one = torch.ones(100)
        two = torch.ones(50)
    assert held.most == 4 * (one.numel() + two.numel())


def test_one_that_is_gone_makes_room_for_the_next() -> None:
    with Held() as held:
        for _ in range(3):
            tensor = torch.ones(100)
            del tensor
    assert held.most == 400


def test_a_view_counts_nothing_and_neither_does_what_was_there_before() -> None:
    before = torch.ones(100)
    with Held() as held:
        before.view(10, 10)[0].add_(1.0)
    assert held.most == 0


def test_the_cost_of_a_call_has_its_seconds() -> None:
    cost = cost_of(lambda: torch.ones(1000).cumsum(0))
    assert cost.memory == 8000
    assert cost.seconds > 0
