"""Geometric vector perceptrons (Jing et al. 2021; gated as in their "Equivariant graph neural networks for 3D
macromolecular structure", 2021): layers on scalars, and on vectors that turn with the structure. Imports torch.

Names of modules are those of the published ESM-IF1 weights.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

SMALL = 1e-8
"""Added to squares of lengths before the root is drawn, whose slope at 0 is not finite."""


class Features(NamedTuple):
    """scalars: [items, channels]. vectors: [items, xyz, channels], so that a linear layer mixes their channels."""

    scalars: Tensor
    vectors: Tensor

    def __add__(self, other: Features) -> Features:  # type: ignore[override]
        return Features(self.scalars + other.scalars, self.vectors + other.vectors)

    def at(self, items: Tensor) -> Features:
        """Those of some of the items, by their numbers."""
        return Features(self.scalars[items], self.vectors[items])


class Widths(NamedTuple):
    """Numbers of channels."""

    scalars: int
    vectors: int


class Perceptron(nn.Module):
    """Scalars see the lengths of vectors; where `gated`, they are rectified and scale the vectors by a sigmoid."""

    def __init__(self, inputs: Widths, outputs: Widths, gated: bool = False) -> None:
        super().__init__()
        hidden = max(inputs.vectors, outputs.vectors)
        self.wh = nn.Linear(inputs.vectors, hidden, bias=False)
        self.ws = nn.Linear(hidden + inputs.scalars, outputs.scalars)
        self.wv = nn.Linear(hidden, outputs.vectors, bias=False)
        self.wg = nn.Linear(outputs.scalars, outputs.vectors) if gated else None

    def forward(self, features: Features) -> Features:
        hidden = self.wh(features.vectors)
        lengths = (hidden.square().sum(-2) + SMALL).sqrt()
        scalars = self.ws(torch.cat([features.scalars, lengths], dim=-1))
        vectors = self.wv(hidden)
        if self.wg is not None:
            scalars = scalars.relu()
            vectors = vectors * self.wg(scalars).sigmoid().unsqueeze(-2)
        return Features(scalars, vectors)


class Norm(nn.Module):
    """Layer normalisation of the scalars; vectors are divided by their root mean square length.

    Vectors of next to no length do not count, and become zero.
    """

    small = 1e-4

    def __init__(self, widths: Widths) -> None:
        super().__init__()
        self.scalar_norm = nn.LayerNorm(widths.scalars)

    def forward(self, features: Features) -> Features:
        squares = features.vectors.square().sum(-2, keepdim=True) + self.small
        counted = squares > 2 * self.small
        mean = (squares * counted).sum(-1, keepdim=True) / (self.small + counted.sum(-1, keepdim=True))
        return Features(self.scalar_norm(features.scalars), counted * features.vectors / (mean + self.small).sqrt())


class Dropout(nn.Dropout):
    """Of scalars, and of whole vectors, since one without some of its components would point elsewhere."""

    def forward(self, features: Features) -> Features:  # type: ignore[override]
        kept = super().forward(torch.ones_like(features.vectors[:, :1]))
        return Features(super().forward(features.scalars), kept * features.vectors)


class Messages(nn.Module):
    """Three perceptrons on (from, edge, to), averaged over the edges that end in a node."""

    def __init__(self, nodes: Widths, edges: Widths) -> None:
        super().__init__()
        joined = Widths(2 * nodes.scalars + edges.scalars, 2 * nodes.vectors + edges.vectors)
        self.message_func = nn.Sequential(
            Perceptron(joined, nodes, gated=True), Perceptron(nodes, nodes, gated=True), Perceptron(nodes, nodes)
        )

    def forward(self, nodes: Features, edges: Features, source: Tensor, target: Tensor) -> Features:
        ends = (nodes.at(source), edges, nodes.at(target))
        sent = self.message_func(Features(*(torch.cat(parts, dim=-1) for parts in zip(*ends, strict=True))))
        heard = torch.bincount(target, minlength=len(nodes.scalars)).clamp(min=1).to(nodes.scalars.dtype)
        return Features(
            torch.zeros_like(nodes.scalars).index_add(0, target, sent.scalars) / heard.view(-1, 1),
            torch.zeros_like(nodes.vectors).index_add(0, target, sent.vectors) / heard.view(-1, 1, 1),
        )


class GraphLayer(nn.Module):
    """Messages, then two perceptrons on each node, each added to what was there and normalised."""

    def __init__(self, nodes: Widths, edges: Widths, dropout: float) -> None:
        super().__init__()
        wide = Widths(4 * nodes.scalars, 2 * nodes.vectors)
        self.conv = Messages(nodes, edges)
        self.norm = nn.ModuleList([Norm(nodes), Norm(nodes)])
        self.dropout = Dropout(dropout)
        self.ff_func = nn.Sequential(Perceptron(nodes, wide, gated=True), Perceptron(wide, nodes))

    def forward(self, nodes: Features, edges: Features, source: Tensor, target: Tensor) -> Features:
        nodes = self.norm[0](nodes + self.dropout(self.conv(nodes, edges, source, target)))
        result: Features = self.norm[1](nodes + self.dropout(self.ff_func(nodes)))
        return result
