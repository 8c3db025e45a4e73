"""Controls: random masks in place of a pruner's own, in its own plan. A criterion is worth what it adds to them.

`random` prunes as many weights anywhere (under the pruner's allocation and pattern). `own-ratios` prunes as many in
each tensor as the pruner does: a method that is no better found how much to prune in each layer, not which weights
(Su et al. 2020, arXiv 2009.11094; Frankle et al. 2021, arXiv 2009.08576).

A control follows no mask update: it is static where a dynamic method moves. The weights that a pruner moves when it
applies its mask stay where they were.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING, Any

from smc_harness.declarations.structure import Structure
from smc_harness.hookspecs import hookimpl

if TYPE_CHECKING:
    from torch import Tensor, nn

    from smc_harness.conversation.context import PrunerContext
    from smc_harness.discovery.loading import Plugin


class Control:
    """Wraps a pruner's hooks. kind: one of `CONTROLS`."""

    def __init__(self, pruner: Plugin) -> None:
        self.kind = pruner.control
        self.structure = pruner.structure

    @hookimpl(wrapper=True)
    def apply_mask(
        self, model: nn.Module, level: float, context: PrunerContext
    ) -> Generator[None, Any, Mapping[str, Tensor]]:
        import torch

        from smc_harness.sparsity.mask import check_mask

        before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
        mask = check_mask((yield), context.prunable(model), context.name)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter.copy_(before[name])
        draws = _draws(mask, context)
        if self.kind == "random":
            return context.select(draws, level)
        return {name: self._as_many(name, kept, draws[name]) for name, kept in mask.items()}

    @hookimpl(wrapper=True)
    def update_mask(self) -> Generator[None, Any, None]:
        yield

    def _as_many(self, name: str, kept: Tensor, draws: Tensor) -> Tensor:
        """Random weights, as many as are `kept`. One draw serves a whole plan, so later masks lie in earlier ones."""
        from smc_harness.sparsity.select import select

        if not kept.any():
            return kept
        level = 1.0 - int(kept.sum()) / kept.numel()
        return select({name: draws}, level, Structure(pattern=self.structure.pattern))[name]


def _draws(mask: Mapping[str, Tensor], context: PrunerContext) -> dict[str, Tensor]:
    """Draws from [0, 1) that are the same for every pruner and level of a (session seed, seed, training id)."""
    import torch

    generator = torch.Generator().manual_seed(context.seed_for("control"))
    return {name: torch.rand(kept.shape, generator=generator, dtype=torch.float64) for name, kept in mask.items()}
