"""Controls: random masks in place of a pruner's own, in its own plan. A criterion is worth what it adds to them.

`random` prunes as many weights anywhere, under the pruner's allocation and pattern. `own-ratios` prunes as many in each
tensor as the pruner does: a method that is no better found how much to prune in each layer, not which weights
(Su et al. 2020, arXiv 2009.11094; Frankle et al. 2021, arXiv 2009.08576).

How many the pruner prunes is taken from the history of its own run, pruning by pruning: on the control's weights, which
are others from the first pruning on, it would choose other ratios. A control follows no mask update, so it is static
where a dynamic method moves.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import torch
from torch import Tensor

from smc_harness.declarations.structure import Structure
from smc_harness.sparsity.mask import Prunable
from smc_harness.sparsity.select import select


def control_mask(
    kind: str,
    kept: Sequence[int],
    prunable: Prunable,
    structure: Structure,
    seed: int,
    turned: Collection[str] = (),
) -> dict[str, Tensor]:
    """Random weights, as many as the pruner kept. kept: of each tensor, in scope order. turned: as in `select`.

    One draw for a seed serves all prunings of a plan, so that a smaller mask lies within a larger one.
    """
    draws = _draws(prunable, seed)
    if not sum(kept):
        return {name: torch.zeros_like(draw, dtype=torch.bool) for name, draw in draws.items()}
    if kind == "random":
        return select(draws, _level(sum(kept), sum(draw.numel() for draw in draws.values())), structure, None, turned)
    within = Structure(pattern=structure.pattern)
    masks: dict[str, Tensor] = {}
    for (name, draw), count in zip(draws.items(), kept, strict=True):
        none = torch.zeros_like(draw, dtype=torch.bool)
        masks |= select({name: draw}, _level(count, draw.numel()), within, None, turned) if count else {name: none}
    return masks


def _level(kept: int, total: int) -> float:
    return 1.0 - kept / total if total else 0.0


def _draws(prunable: Prunable, seed: int) -> dict[str, Tensor]:
    """Draws from [0, 1) in float64: among millions of float32 draws many would be equal."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.rand(parameter.shape, generator=generator, dtype=torch.float64).to(parameter.device)
        for name, parameter in prunable
    }
