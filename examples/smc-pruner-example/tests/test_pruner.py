from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from smc_harness.errors import UsageError
from smc_harness.testing import parametrize_with_checks

from smc_pruner_example import pruner


@parametrize_with_checks("example")
def test_it_conforms(check: Callable[[], None]) -> None:
    check()


def test_gradients_that_cancel_over_the_batches_count() -> None:
    """The loss is linear in the weights, so that each batch is its own gradient."""
    weights = {"used": torch.nn.Parameter(torch.tensor([2.0, 1.0])), "unused": torch.nn.Parameter(torch.ones(2))}
    gradients = [torch.tensor([1.0, -1.0]), torch.tensor([-1.0, 2.0])]
    context: Any = SimpleNamespace(
        params=pruner.Params(batches=2),
        batch_size=1,
        prunable=lambda model: weights.items(),
        batches=lambda split, n: gradients[:n],
        loss=lambda model, batch: (weights["used"] * batch).sum(),
    )
    scores = pruner.compute_scores(torch.nn.Identity(), context)
    assert scores["used"].tolist() == [4.0, 2.5]  # (4 + 4) / 2 and (1 + 4) / 2
    assert scores["unused"].tolist() == [0.0, 0.0]


def test_no_batches_are_refused() -> None:
    with pytest.raises(UsageError, match="batches=0 given"):
        pruner.Params(batches=0)


def test_it_does_no_harm_at_a_fifth(smc: Any) -> None:
    run = smc.run(pruners="example", tasks="protein-mini", levels=[0.2])
    assert run.first_fail() > 0.2
