"""How SMC-Bench's protein tasks are trained: encoder and head at rates of their own, which follow one schedule."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from smc_harness.errors import UsageError

if TYPE_CHECKING:
    import torch

    from smc_harness import Recipe, TaskContext

SELECTIONS = ("valid", "paper")
SCHEDULES = ("one-cycle", "linear")


def two_rate_recipe(context: TaskContext, weight_decay: float) -> Recipe:
    """AdamW; the best epoch is kept.

    context.params: `FinetuningParams` with head_learning_rate (of parameters whose name begins with `head.`), selection
    ("valid", or "paper" for the scored examples) and schedule ("linear", or "one-cycle", changed once an epoch).
    Raises UsageError where one cycle has no second epoch.
    """
    from smc_harness import LinearWarmup, Recipe, Selection

    params = context.params
    examples = len(context.data["train"])
    per_epoch = math.ceil(examples / params.batch_size)
    steps = params.total_steps(examples)
    if params.schedule == "one-cycle" and steps <= per_epoch:
        # its last epoch has next to no rate: there would be no other
        raise UsageError(
            f"{context.name}: {steps} steps are no more than one epoch ({per_epoch}), and one cycle that changes once "
            f"an epoch needs two; --set {context.name}.schedule=linear would work"
        )

    def groups(model: torch.nn.Module) -> list[dict[str, Any]]:
        parts: tuple[list[Any], list[Any]] = ([], [])
        for name, parameter in model.named_parameters():
            parts[name.startswith("head.")].append(parameter)
        rates = (params.learning_rate, params.head_learning_rate)
        return [{"params": part, "lr": rate} for part, rate in zip(parts, rates, strict=True)]

    def optimizer(groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        import torch

        return torch.optim.AdamW(groups, weight_decay=weight_decay, fused=True)

    one_cycle = OneCycle(per_epoch, math.ceil(steps / per_epoch))
    return Recipe(
        steps=steps,
        batch_size=params.batch_size,
        optimizer=optimizer,
        parameter_groups=groups,
        schedule=one_cycle if params.schedule == "one-cycle" else LinearWarmup(min(1.0, params.warmup / steps)),
        selection=Selection("test" if params.selection == "paper" else "valid", every=per_epoch),
        micro_batch=params.micro_batch,
    )


@dataclass(frozen=True)
class OneCycle:
    """The factor of torch's OneCycleLR (cosine, 30 % rising) that is stepped once per epoch, as in the original.

    per_epoch: optimiser steps. epochs: in all. With four epochs the rate is 0.04, 0.81, 0.28 and 0.000004 of its peak.
    """

    per_epoch: int
    epochs: int

    def __call__(self, step: int, total: int) -> float:
        epoch = min(step // self.per_epoch, self.epochs - 1)
        rise, last = 0.3 * self.epochs - 1, self.epochs - 1
        if epoch <= rise:
            return _cosine(1 / 25, 1.0, epoch / rise if rise > 0 else 1.0)
        return _cosine(1.0, 1 / 25e4, (epoch - rise) / (last - rise))


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) / 2 * (1 + math.cos(math.pi * share))
