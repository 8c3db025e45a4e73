"""The small task on which pruners are checked: tokens with hidden values, and whether those of a sentence are positive.

A plugin like any other, so that workers load it by its place. Its model can be made awkward in one way at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from smc_harness import Outcomes, Recipe, TaskContext, hookimpl

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

name = "conformance"
description = "the task on which the conformance kit runs pruners"
# a number that a difference in any weight changes, as the share of right answers would not
metric, unit, chance = "probability of the right label", "fraction", 0.5
default = False

TOKENS = 8
LENGTH = 5
TRAIN, TEST = 64, 64
STEPS, RETRAINING = 24, 12
_NOT_LINEAR = ("embedding.weight", "nothing")

Shape = Literal["plain", "tied", "single", "empty"]


@dataclass(frozen=True)
class Params:
    """shape: what is awkward about the model; `tied`: two layers with one weight; `single`: a matrix of one weight;
    `empty`: a matrix without any. width: of its layers.
    """

    shape: Shape = "plain"
    width: int = 4


params = Params


@hookimpl
def prepare_data(context: TaskContext) -> Mapping[str, Sequence[Any]]:
    import torch

    draw = torch.Generator().manual_seed(7)
    values = torch.randn(TOKENS, generator=draw)
    tokens = torch.randint(TOKENS, (TRAIN + TEST, LENGTH), generator=draw)
    rows = [(sentence, int(values[sentence].sum() > 0)) for sentence in tokens]
    return {"train": rows[:TRAIN], "test": rows[TRAIN:]}


@hookimpl
def prepare_model(context: TaskContext) -> nn.Module:
    from smc_harness.conformance._network import Network

    return Network(context.params.shape, context.params.width, TOKENS)


@hookimpl
def prunable(model: nn.Module) -> Mapping[str, Sequence[str]]:
    names = [name for name, parameter in model.named_parameters() if parameter.dim() == 2]
    return {"paper": names, "linear": [name for name in names if name not in _NOT_LINEAR]}


@hookimpl
def recipe(context: TaskContext) -> Recipe:
    import torch

    def adam(groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        return torch.optim.AdamW(groups, lr=0.01)

    return Recipe(steps=RETRAINING if context.retraining else STEPS, batch_size=16, optimizer=adam, clip=1.0)


@hookimpl
def collate(examples: list[Any]) -> dict[str, Tensor]:
    import torch

    return {
        "tokens": torch.stack([sentence for sentence, _ in examples]),
        "labels": torch.tensor([label for _, label in examples]),
    }


@hookimpl
def compute_loss(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    from torch.nn.functional import cross_entropy

    return cross_entropy(model(batch["tokens"]).float(), batch["labels"])


@hookimpl
def evaluate(model: nn.Module, split: str, context: TaskContext) -> Outcomes:

    (batch,) = context.batches(split, TEST)
    chances = model(batch["tokens"]).float().softmax(1)
    return Outcomes(chances.gather(1, batch["labels"][:, None])[:, 0], predictions=chances.argmax(1))
