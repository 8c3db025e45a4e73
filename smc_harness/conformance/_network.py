"""The model of the small task."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from smc_harness.conformance.example import Shape


class Network(nn.Module):
    """An embedding, two layers with dropout and a norm between them, and a head; about 15 width^2 weights and more.

    Dropout tells whether the mode is right; `blocks` serves pruners that go layer by layer.
    """

    def __init__(self, shape: Shape, width: int, tokens: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(tokens, width)
        self.blocks = nn.ModuleList([nn.Linear(width, width + width // 2), nn.Linear(width + width // 2, width)])
        self.dropout = nn.Dropout(0.1)
        self.norm = nn.LayerNorm(width)
        if shape == "tied":
            self.blocks += [nn.Linear(width, width), nn.Linear(width, width)]
            self.blocks[3].weight = self.blocks[2].weight
        self.gate = nn.Linear(1, 1) if shape == "single" else None
        self.nothing = nn.Parameter(torch.empty(0, width)) if shape == "empty" else None
        self.head = nn.Linear(width, 2)

    def forward(self, tokens: Tensor) -> Tensor:
        """tokens: [batch, length]. Returns logits [batch, 2]."""
        hidden = self.embedding(tokens).mean(1)
        for block in self.blocks:
            hidden = self.dropout(torch.tanh(block(hidden)))
        if self.gate is not None:
            hidden = hidden + self.gate(hidden.mean(1, keepdim=True))
        if self.nothing is not None:
            hidden = hidden + self.nothing.sum()
        logits: Tensor = self.head(self.norm(hidden))
        return logits
