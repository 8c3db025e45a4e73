"""What the harness does where neither the task nor the pruner has an answer. Asked last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from smc_harness.errors import PluginError
from smc_harness.hookspecs import hookimpl

if TYPE_CHECKING:
    from torch import Tensor, nn

    from smc_harness.conversation.context import PrunerContext, TaskContext
    from smc_harness.declarations.outcomes import Outcomes


@hookimpl(trylast=True)
def prunable(model: nn.Module) -> Mapping[str, Sequence[str]]:
    from smc_harness.sparsity.scope import DEFAULT_SCOPE, two_dimensional

    return {DEFAULT_SCOPE: two_dimensional(model)}


@hookimpl(trylast=True)
def blocks(model: nn.Module, context: TaskContext) -> Sequence[nn.Module]:
    from torch import nn

    lists = [list(module) for module in model.modules() if isinstance(module, nn.ModuleList)]
    if not lists:
        raise PluginError(f"{context.name}: the model has no ModuleList; the task must implement blocks()")
    return max(lists, key=len)


@hookimpl(trylast=True)
def apply_mask(scores: Mapping[str, Tensor] | None, level: float, context: PrunerContext) -> Mapping[str, Tensor]:
    """Exact selection under the pruner's allocation and pattern; what is already pruned stays pruned."""
    if scores is None:
        raise PluginError(f"{context.name}: there are no scores; implement compute_scores() or apply_mask()")
    return context.select(scores, level)


@hookimpl(trylast=True)
def aggregate(outcomes: Outcomes) -> float:
    return float(outcomes.values.double().mean())
