"""SNIP: connection sensitivity at the start of training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from smc_harness import hookimpl

if TYPE_CHECKING:
    from torch import Tensor, nn

    from smc_harness import PrunerContext

name = "snip"
phase = "before"
description = "single-shot pruning of the start weights by connection sensitivity |w dL/dw|"


@dataclass(frozen=True)
class Params:
    """batches: training batches over which the gradient is averaged.

    One batch, as in SMC-Bench, gives every embedding row that it does not contain a score of exactly zero.
    """

    batches: int = 8


params = Params


@hookimpl
def compute_scores(model: nn.Module, context: PrunerContext) -> Mapping[str, Tensor]:
    """|w g| with g the gradient of the mean training loss (Lee, Ajanthan & Torr 2019, eq. 6, not normalised)."""
    import torch

    prunable = context.prunable(model)
    parameters = [parameter for _, parameter in prunable]
    totals = [torch.zeros_like(parameter) for parameter in parameters]
    size = context.batch_size
    for batch in context.batches("train", context.params.batches * size):
        loss = context.loss(model, batch)
        gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
        for total, gradient in zip(totals, gradients, strict=True):
            if gradient is not None:
                total.add_(gradient)
    return {name: (parameter.detach() * total).abs() for (name, parameter), total in zip(prunable, totals, strict=True)}
