"""The recipe of SMC-Bench's protein tasks: AdamW at two rates, which follow one cycle together."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from smc_harness import Recipe, TaskContext


def one_cycle_recipe(context: TaskContext, weight_decay: float) -> Recipe:
    """One cycle of the rates, changed once an epoch.

    context.params: `FinetuningParams` with head_learning_rate (of parameters whose name begins with `head.`) and
    selection ("valid", or "paper" for the scored examples).
    """
    from smc_harness import Recipe, Selection
    from smc_tasks.protein.classifier import OneCycle

    params = context.params
    examples = len(context.data["train"])
    per_epoch = math.ceil(examples / params.batch_size)
    steps = params.total_steps(examples)

    def groups(model: torch.nn.Module) -> list[dict[str, Any]]:
        parts: tuple[list[Any], list[Any]] = ([], [])
        for name, parameter in model.named_parameters():
            parts[name.startswith("head.")].append(parameter)
        rates = (params.learning_rate, params.head_learning_rate)
        return [{"params": part, "lr": rate} for part, rate in zip(parts, rates, strict=True)]

    def optimizer(groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        import torch

        return torch.optim.AdamW(groups, weight_decay=weight_decay, fused=True)

    return Recipe(
        steps=steps,
        batch_size=params.batch_size,
        optimizer=optimizer,
        parameter_groups=groups,
        schedule=OneCycle(per_epoch, max(1, math.ceil(steps / per_epoch))),
        selection=Selection("test" if params.selection == "paper" else "valid", every=per_epoch),
        micro_batch=params.micro_batch,
    )
