"""What a task's `evaluate` returns: one row of numbers for every scored example."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, eq=False)
class Outcomes:
    """Per-example results of one evaluation, from which the metric is computed.

    values: float tensor [n] or [n, k], one row per example in the order of the split: 1.0 / 0.0 for right and
        wrong, or k sufficient statistics (BLEU: n-gram matches, totals and lengths).
    ids: n strings that name the examples across runs; None: "0" to "n-1".
    groups: n strings, for metrics reported by group and for clustered statistics; None: no groups.
    predictions: long tensor [n], the predicted class, or any code that is equal for equal predictions (`codes`). A
        model that predicts the same for every example is named in the diagnosis.
    """

    values: torch.Tensor
    ids: Sequence[str] | None = None
    groups: Sequence[str] | None = None
    predictions: torch.Tensor | None = None

    @staticmethod
    def codes(predictions: Sequence[Hashable]) -> torch.Tensor:
        """Long tensor [n] for `predictions`, from predictions of any kind: equal ones have equal codes."""
        import torch

        known: dict[Hashable, int] = {}
        return torch.tensor([known.setdefault(item, len(known)) for item in predictions], dtype=torch.long)

    def agreement(self, other: Outcomes) -> float:
        """Share of the examples with the same values in both; predictions may have got other codes."""
        same = (self.values == other.values).reshape(len(self), -1).all(dim=1)
        return float(same.double().mean())

    def __len__(self) -> int:
        return int(self.values.shape[0])
