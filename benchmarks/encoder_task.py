"""A task for timing a step: an encoder of four layers, 12.6 million prunable weights, on batches of 8 x 64 tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from smc_harness import Outcomes, Recipe, TaskContext, hookimpl

name, description = "encoder", "random tokens, for timing"
WIDTH, HEADS, LAYERS, LENGTH, WORDS = 512, 8, 4, 64, 1000


@dataclass(frozen=True)
class Params:
    batch: int = 8


params = Params


class Layer(nn.Module):
    """Attention and feed-forward of linear layers alone, which `torch.nn.utils.prune` can hook into."""

    def __init__(self) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)])
        self.query, self.key, self.value, self.out = (nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, states: Tensor) -> Tensor:
        normed = self.norms[0](states)
        heads = [part(normed).unflatten(2, (HEADS, -1)).transpose(1, 2) for part in (self.query, self.key, self.value)]
        mixed = nn.functional.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2)
        states = states + self.out(mixed)
        found: Tensor = states + self.down(nn.functional.gelu(self.up(self.norms[1](states))))
        return found


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, WIDTH)
        self.layers = nn.Sequential(*(Layer() for _ in range(LAYERS)))
        self.head = nn.Linear(WIDTH, 2)

    def forward(self, tokens: Tensor) -> Tensor:
        found: Tensor = self.head(self.layers(self.words(tokens)).mean(1))
        return found


@hookimpl
def prepare_data(context: TaskContext) -> Mapping[str, Sequence[Any]]:
    draws = torch.randint(0, WORDS, (512, LENGTH), generator=context.generator)
    examples = [(row, int(row.sum()) % 2) for row in draws]
    return {"train": examples, "test": examples[:8]}


@hookimpl
def prepare_model() -> nn.Module:
    return Encoder()


@hookimpl
def prunable(model: nn.Module) -> Mapping[str, Sequence[str]]:
    names = [name for name, parameter in model.named_parameters() if parameter.dim() == 2 and "layers" in name]
    return {"paper": names}


@hookimpl
def recipe(context: TaskContext) -> Recipe:
    def adam(groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        return torch.optim.AdamW(groups, lr=1e-4, fused=True)

    return Recipe(steps=1_000_000, batch_size=context.params.batch, optimizer=adam)


@hookimpl
def collate(examples: list[Any]) -> tuple[Tensor, Tensor]:
    return torch.stack([tokens for tokens, _ in examples]), torch.tensor([label for _, label in examples])


@hookimpl
def compute_loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    return nn.functional.cross_entropy(model(batch[0]), batch[1])


@hookimpl
def evaluate(model: nn.Module, split: str, context: TaskContext) -> Outcomes:
    return context.outcomes(split, lambda batch: (model(batch[0]).argmax(1) == batch[1]).float())
