"""What the tasks that fine-tune a pretrained transformer share: parameters, recipe, scope presets."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar

from smc_harness.errors import UsageError, limitation

if TYPE_CHECKING:
    import torch

    from smc_harness import Pretrained, Recipe, TaskContext

COMMITS = {
    "FacebookAI/roberta-base": "e2da8e2f811d1448a5b465c236feacd80ffbac7b",
    "FacebookAI/roberta-large": "722cf37b1afa9454edce342e7895e588b6ff1d59",
    "openai-community/gpt2": "607a30d783dfa663caf39e06633721c8d4cfcd7e",
    "facebook/esm1b_t33_650M_UR50S": "7b37824baec4d3658e1df7479222a7c79b465b76",
}
"""Commits of the checkpoints that tasks name; another one is named with its `revision`."""


@dataclass(frozen=True)
class PretrainedParams:
    """Parameters of every task that starts from a checkpoint.

    model: hub id of the checkpoint, or its folder's name under --model-dir; revision: its commit on the hub.
    steps: optimiser steps of a training, before and after pruning; 0, on commonsense and translation alone, takes the
    checkpoint as it is, its own output layers included. micro_batch: of the examples of a step, how many at
    once (fewer need less memory). gradient_checkpointing: keep a layer's input alone and compute the rest again in the
    backward pass: less memory for a third more work. learning_rate: the peak; warmup: steps up to it.
    evaluation_batch: examples scored at once; none: as many as suit the device.
    """

    model: str
    revision: str | None = None
    steps: int | None = None
    micro_batch: int | None = None
    gradient_checkpointing: bool = False
    learning_rate: float = 1e-5
    warmup: int = 150
    evaluation_batch: int | None = None

    may_be_zero: ClassVar[tuple[str, ...]] = ("warmup",)

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            zero = field.name in self.may_be_zero
            if type(value) in (int, float) and not (value > 0 or (zero and value == 0)):
                met = limitation("starting-from-the-checkpoint-itself") if (field.name, value) == ("steps", 0) else ""
                raise UsageError(f"{field.name}={value}: expected {'0 or more' if zero else 'a number above 0'}{met}")

    @property
    def checkpoint(self) -> Pretrained:
        from smc_harness import Pretrained

        return Pretrained(self.model, self.revision or COMMITS.get(self.model))


@dataclass(frozen=True)
class FinetuningParams(PretrainedParams):
    """Also: epochs: of a training, where there are no steps. batch_size: examples a step."""

    epochs: int = 3
    batch_size: int = 16

    def total_steps(self, examples: int) -> int:
        """Optimiser steps of a training on so many examples."""
        return self.steps if self.steps is not None else self.epochs * math.ceil(examples / self.batch_size)


def finetuning_recipe(context: TaskContext, decay: bool = True) -> Recipe:
    """AdamW as in fairseq's recipes for RoBERTa: betas (0.9, 0.98), eps 1e-6, weight decay 0.01, no clipping.

    decay: whether the rate falls linearly to zero after the warm-up, or stays.
    """
    from smc_harness import LinearWarmup, Recipe

    params: FinetuningParams = context.params
    learning_rate = params.learning_rate

    def optimizer(groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        import torch

        return torch.optim.AdamW(groups, lr=learning_rate, betas=(0.9, 0.98), eps=1e-6, weight_decay=0.01, fused=True)

    steps = params.total_steps(len(context.data["train"]))
    return Recipe(
        steps=steps,
        batch_size=params.batch_size,
        optimizer=optimizer,
        schedule=LinearWarmup(min(1.0, params.warmup / max(1, steps)), decay=decay),
        micro_batch=params.micro_batch,
    )
