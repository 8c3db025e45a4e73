"""Wanda: weights whose magnitude times the norm of what they read is small."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from smc_harness import PrunerContext, hookimpl
from smc_harness.declarations.plans import Stage
from smc_pruners import _calibrated
from smc_pruners._calibrated import norms, saliency, shares, stages

if TYPE_CHECKING:
    from torch import Tensor, nn

name = "wanda"
phase = "after"
description = "magnitude times the norm of what is read, block by block, every output by itself; no retraining"
score = "|w| times the 2-norm of the feature that the weight reads, over calibration examples"
paper = "Sun et al. 2024, arXiv 2306.11695, eq. 1"
cost = "a calibration, and no training"
default = False
prunes = "linear"
allocation = "rows"
params = _calibrated.Params


@hookimpl
def plan(level: float, context: PrunerContext) -> Sequence[Stage]:
    return stages(level, context)


@hookimpl
def apply_mask(model: nn.Module, level: float, context: PrunerContext) -> Mapping[str, Tensor]:
    """Raises UsageError for the allocation `global`, PluginError where no input reached a layer."""
    levels = shares(model, level, context)
    walk = context.walk(model, context.params.examples)
    for block in walk:
        mask: dict[str, Tensor] = {}
        read = norms(block, context.name)
        for key in block.layers:
            mask |= context.select({key: saliency(block, key, read)}, levels[key])
        block.prune(mask)
    return walk.mask
