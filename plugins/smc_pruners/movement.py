"""Movement pruning: the weights that move away from zero stay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from smc_harness import PrunerContext, Train, hookimpl
from smc_pruners._schedule import CubicParams

if TYPE_CHECKING:
    from torch import Tensor, nn

name = "movement"
phase = "during"
default = False
description = "gradual pruning by accumulated movement -w dL/dw; a pruned weight may come back with its value"
score = "sum of -w dL/dw over the steps so far"
paper = "Sanh et al. 2020, arXiv 2005.07683"
cost = "1 training"
nested = True


params = CubicParams


@hookimpl
def plan(level: float, context: PrunerContext) -> Sequence[Train]:
    return [Train(prune=context.params.schedule(level), dead="kept")]


@hookimpl
def update_mask(model: nn.Module, context: PrunerContext) -> None:
    """S <- S - w dL/dw' (section 3, eq. 5), w' the masked weight that the loss saw; a factor on S changes no order."""
    import torch

    gradients = {name: parameter.grad for name, parameter in context.prunable(model)}
    for name, values in context.unmasked(model):
        if (gradient := gradients[name]) is None:
            continue
        if name not in context.state:
            context.state[name] = torch.zeros_like(values)
        context.state[name].addcmul_(values, gradient, value=-1.0)


@hookimpl
def compute_scores(model: nn.Module, context: PrunerContext) -> Mapping[str, Tensor]:
    """What was accumulated; before the first step, and for a tensor without gradients, zero."""
    import torch

    return {
        name: context.state.get(name, torch.zeros_like(parameter.detach()))
        for name, parameter in context.prunable(model)
    }


@hookimpl
def apply_mask(scores: Mapping[str, Tensor], level: float, context: PrunerContext) -> Mapping[str, Tensor]:
    return context.select(scores, level, regrow=True)
