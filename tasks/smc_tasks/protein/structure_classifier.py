"""The structure encoder with the two-layer head of SMC-Bench, and its batches. Imports torch."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

import torch
from torch import Tensor, nn

from smc_tasks.protein.geometry import Geometry
from smc_tasks.protein.structure_encoder import StructureEncoder, present

HEAD_WIDTH = 128


class Structure(NamedTuple):
    """id: stable across runs. label: the class, from 0."""

    id: str
    geometry: Geometry
    label: int

    @property
    def group(self) -> str:
        """Structures are independent draws."""
        return self.id


class StructureClassifier(nn.Module):
    """Mean of the encoder's states of all residues -> linear -> normalisation, ReLU -> linear."""

    def __init__(self, encoder: StructureEncoder, classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Sequential(
            nn.Linear(encoder.sizes.width, HEAD_WIDTH),
            nn.LayerNorm(HEAD_WIDTH),
            nn.ReLU(),
            nn.Linear(HEAD_WIDTH, classes),
        )

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        """A batch of `collate` -> logits [structures, classes]."""
        residues = present(batch["lengths"] - 2).unsqueeze(-1)
        states = self.encoder(batch)[:, 1:-1] * residues  # neither end mark counts
        logits: Tensor = self.head(states.sum(1) / residues.sum(1))
        return logits


def collate(structures: Sequence[Structure]) -> dict[str, Tensor]:
    """Structures as one graph, node after node; nothing is padded.

    Returns the fields of `Geometry`, edges with the numbers that nodes have here, lengths: nodes of each structure,
    and labels, both long [structures].
    """
    graphs = [structure.geometry for structure in structures]
    lengths = [len(graph.scalars) for graph in graphs]
    starts = list(accumulate(lengths, initial=0))
    joined = {name: torch.cat([getattr(graph, name) for graph in graphs]) for name in Geometry._fields[:-1]}
    return joined | {
        "edges": torch.cat([graph.edges + start for graph, start in zip(graphs, starts, strict=False)], dim=1),
        "lengths": torch.tensor(lengths),
        "labels": torch.tensor([structure.label for structure in structures]),
    }
