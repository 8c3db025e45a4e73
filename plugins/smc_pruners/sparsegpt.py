"""SparseGPT: the optimal brain surgeon for layers of billions of weights, a column at a time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from smc_harness import PrunerContext, hookimpl
from smc_harness.declarations.plans import Stage
from smc_harness.declarations.structure import Block, NofM
from smc_harness.errors import UsageError
from smc_pruners import _calibrated
from smc_pruners._calibrated import check_reached, shares, stages

if TYPE_CHECKING:
    from torch import Tensor, nn

    from smc_harness.conversation.walk import BlockOfLayers

name = "sparsegpt"
phase = "after"
description = "one-shot second-order pruning, block by block; the survivors make up for the pruned, no retraining"
score = "w^2 / [H^-1]_dd^2 of the Cholesky factor, H = X X' of what the layer reads"
paper = "Frantar & Alistarh 2023, arXiv 2301.00774, algorithm 1"
cost = "a calibration, and no training"
default = False
prunes = "linear"
allocation = "uniform"


@dataclass(frozen=True)
class Params(_calibrated.Params):
    """columns: inputs whose masks are chosen together. damping: what is added to the diagonal of the Hessian, as a
    share of its mean. exact: each layer to its exact count; else one weight more in every group of columns, as the
    authors' code counts.
    """

    columns: int = 128
    damping: float = 0.01
    exact: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.columns < 1:
            raise UsageError(f"columns={self.columns} given; a number of at least 1 would work")
        if not 0.0 < self.damping < math.inf:
            raise UsageError(f"damping={self.damping} given; a finite number above 0 would work")


params = Params


@hookimpl
def plan(level: float, context: PrunerContext) -> Sequence[Stage]:
    """Raises UsageError for a structure that it cannot prune to, before anything is trained for it."""
    pattern, wanted = context.pattern, context.params
    if isinstance(pattern, Block) or context.structure.allocation == "rows":
        raise UsageError(f"{context.structure} given; allocation=uniform or erk, or a pattern N:M, would work")
    if isinstance(pattern, NofM) and wanted.columns % pattern.m:
        raise UsageError(f"columns={wanted.columns} given; a multiple of {pattern.m} would work with {pattern}")
    return stages(level, context)


@hookimpl
def apply_mask(model: nn.Module, level: float, context: PrunerContext) -> Mapping[str, Tensor]:
    """Raises UsageError for the allocation `global`, PluginError where no input reached a layer."""
    from smc_pruners._surgeon import prune

    levels = shares(model, level, context)
    walk = context.walk(model, context.params.examples)
    for block in walk:
        hessians = _hessians(block, context.name)
        mask: dict[str, Tensor] = {}
        for key in block.layers:
            alive = None if context.mask is None else block.turn(key, context.mask[key])
            kept = prune(block.matrix(key), hessians.pop(key), levels[key], context.pattern, context.params, alive)
            mask[key] = block.turn(key, kept)
        block.prune(mask)
    return walk.mask


def _hessians(block: BlockOfLayers, who: str) -> dict[str, Tensor]:
    """{name: X X' of what its layer reads, [inputs, inputs] in float32}; one for all that read the same."""
    found: dict[tuple[str, ...], Tensor] = {}

    def see(names: tuple[str, ...], inputs: Tensor) -> None:
        wide = inputs.float()
        if names in found:
            found[names].addmm_(wide.t(), wide)
        else:
            found[names] = wide.t() @ wide

    block.observe(see)
    hessians = {key: hessian for names, hessian in found.items() for key in names}
    check_reached(block, hessians, who)
    return hessians
