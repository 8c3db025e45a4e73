"""Tasks whose models are stacks of blocks, for pruners that take one after another."""

from __future__ import annotations

from types import ModuleType

import torch
from torch import Tensor, nn

from smc_harness import hookimpl
from tests.toys import toy_task

WIDTH = 16


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.up, self.gate, self.down = nn.Linear(WIDTH, 24), nn.Linear(WIDTH, 24), nn.Linear(24, WIDTH)

    def forward(self, hidden: Tensor) -> Tensor:
        return hidden + self.down(torch.relu(self.up(hidden)) * self.gate(hidden))


class Stack(nn.Module):
    def __init__(self, depth: int = 3) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(6, WIDTH), nn.Linear(WIDTH, 2)
        self.layers = nn.ModuleList(Residual() for _ in range(depth))

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.first(x)
        for layer in self.layers:
            hidden = layer(hidden)
        return self.last(hidden)


def stack_task() -> ModuleType:
    """The toy task with a stack for its model; what is in the blocks is prunable."""
    task = toy_task()
    task.prepare_model = hookimpl(lambda context: Stack())
    task.prunable = hookimpl(
        lambda model, context: {
            "paper": [name for name, weight in model.named_parameters() if "layers" in name and weight.dim() == 2]
        }
    )
    return task


def text_task() -> ModuleType:
    """Texts of made-up words and a small GPT-2, whose layers hold their weights as [inputs, outputs]."""
    from transformers import GPT2Config, GPT2LMHeadModel

    task = toy_task()
    texts = torch.randint(0, 50, (64, 12), generator=torch.Generator().manual_seed(3))
    config = GPT2Config(
        vocab_size=50, n_positions=12, n_embd=16, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0, use_cache=False
    )
    task.prepare_data = hookimpl(lambda context: {"train": list(texts), "test": list(texts[:8])})
    task.prepare_model = hookimpl(lambda context: GPT2LMHeadModel(config))
    task.collate = hookimpl(lambda examples, context: torch.stack(examples))
    task.compute_loss = hookimpl(lambda model, batch, context: model(input_ids=batch, labels=batch).loss)
    task.prunable = hookimpl(
        lambda model, context: {
            "paper": [name for name, weight in model.named_parameters() if ".h." in name and weight.dim() == 2]
        }
    )
    return task
