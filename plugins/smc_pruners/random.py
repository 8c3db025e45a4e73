"""Random pruning: the baseline that every criterion must beat."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from smc_harness import hookimpl

if TYPE_CHECKING:
    from torch import Tensor, nn

    from smc_harness import PrunerContext


@dataclass(frozen=True)
class Random:
    """Every weight has the same chance to go; the number that goes is exact."""

    name: str
    phase: str
    description: str

    @hookimpl
    def compute_scores(self, model: nn.Module, context: PrunerContext) -> Mapping[str, Tensor]:
        import torch

        # float64: among millions of float32 draws many would be equal
        return {
            name: torch.rand(parameter.shape, generator=context.generator, dtype=torch.float64)
            for name, parameter in context.prunable(model)
        }


after = Random("random-after", "after", "random pruning of the trained model, then retraining")
before = Random("random-before", "before", "random pruning of the start weights")
plugins = (after, before)
