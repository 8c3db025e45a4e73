"""How a task is trained. Declarations only: nothing here imports torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import torch

Schedule = Callable[[int, int], float]
"""(step, total steps) -> factor on every learning rate; steps count from 0."""


@dataclass(frozen=True)
class Selection:
    """Keep the best weights seen during training instead of the last ones.

    split: the split that is scored to choose. `test` is what several published protocols did; it is reported.
    every: number of optimiser steps between two scorings; the last step is always scored.
    """

    split: Literal["valid", "test"]
    every: int


@dataclass(frozen=True)
class Recipe:
    """One training run, from its first optimiser step to its last.

    steps: optimiser steps; 0 for a model that is to be taken as it is.
    batch_size: examples per optimiser step.
    optimizer: receives parameter groups (`params`, plus what `parameter_groups` set), returns a torch optimizer.
    parameter_groups: receives the model, returns the groups; None: one group of every trainable parameter.
    schedule: factor on the learning rates at each step; None: constant.
    clip: largest gradient norm, measured after the gradients of pruned weights were masked; None: no clipping.
    selection: None keeps the last weights.
    batch_order: receives (number of examples, batch size, torch.Generator), yields lists of indices for one epoch;
        None: a uniform shuffle. Use it to bucket by length.
    micro_batch: examples whose gradients are computed at once, and added up over a step; None: all of its examples.
        Where memory runs out it is halved. Masks and schedules know optimiser steps only.
    """

    steps: int
    batch_size: int
    optimizer: Callable[[list[dict[str, Any]]], torch.optim.Optimizer]
    parameter_groups: Callable[[torch.nn.Module], list[dict[str, Any]]] | None = None
    schedule: Schedule | None = None
    clip: float | None = None
    selection: Selection | None = None
    batch_order: Callable[[int, int, torch.Generator], Iterable[list[int]]] | None = None
    micro_batch: int | None = None


@dataclass(frozen=True)
class LinearWarmup:
    """Rise linearly over the first `warmup` fraction of the steps, then fall linearly to zero, or stay (no decay)."""

    warmup: float = 0.0
    decay: bool = True

    def __call__(self, step: int, total: int) -> float:
        rise = max(1, round(self.warmup * total))
        if step < rise:
            return (step + 1) / rise
        return (total - step) / max(1, total - rise) if self.decay else 1.0


@dataclass(frozen=True)
class StepDecay:
    """Multiply by `factor` after every `every` steps."""

    every: int
    factor: float

    def __call__(self, step: int, total: int) -> float:
        return self.factor ** (step // self.every)
