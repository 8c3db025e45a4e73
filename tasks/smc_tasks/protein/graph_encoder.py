"""The graph layers of ESM-IF1 (Hsu et al. 2022) and what they are given. Imports torch.

Names of modules are those of the published weights.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from smc_tasks.protein.geometry import ANGLES
from smc_tasks.protein.gvp import Features, GraphLayer, Norm, Perceptron, Widths

BINS = 16
"""Of distances, of confidences, and of offsets along the chain."""
FARTHEST = 20.0
"""Å: the last bin of distances."""


class GraphEncoder(nn.Module):
    """Features of nodes and edges, and the graph layers on them."""

    def __init__(self, nodes: Widths, edges: Widths, layers: int, dropout: float) -> None:
        super().__init__()
        self.embed_graph = GraphEmbedding(nodes, edges)
        self.encoder_layers = nn.ModuleList(GraphLayer(nodes, edges, dropout) for _ in range(layers))

    def forward(self, nodes: Features, positions: Tensor, ends: Tensor) -> Features:
        """Features of the nodes. positions: [nodes, xyz] in Å. ends: long [2, edges], from node, to node."""
        nodes, edges = self.embed_graph(nodes, positions, ends)
        for layer in self.encoder_layers:
            nodes = layer(nodes, edges, *ends)
        return nodes


class GraphEmbedding(nn.Module):
    """An edge is its length in bins, its offset along the chain as waves, and its direction.

    The two last scalars of an edge are the original's marks for ends without coordinates, from and to which it has no
    edges either.
    """

    def __init__(self, nodes: Widths, edges: Widths) -> None:
        super().__init__()
        self.embed_node = nn.Sequential(Perceptron(Widths(ANGLES + 1, 3), nodes), Norm(nodes))
        self.embed_edge = nn.Sequential(Perceptron(Widths(2 * BINS + 2, 1), edges), Norm(edges))
        self.embed_confidence = nn.Linear(BINS, nodes.scalars)

    def forward(self, nodes: Features, positions: Tensor, ends: Tensor) -> tuple[Features, Features]:
        source, target = ends
        ways = positions[source] - positions[target]
        lengths = (ways.square().sum(-1) + 1e-8).sqrt()
        scalars = torch.cat([bins(lengths, FARTHEST), _offsets(source - target).to(lengths)], dim=-1)
        edges = Features(pad(scalars, (0, 2)), (ways / lengths.unsqueeze(-1)).unsqueeze(-1))
        embedded: Features = self.embed_node(nodes)
        confidence = self.embed_confidence(bins(nodes.scalars[:, -1], 1.0))
        return embedded._replace(scalars=embedded.scalars + confidence), self.embed_edge(edges)


def bins(values: Tensor, last: float) -> Tensor:
    """Values in 16 overlapping bins from 0 to `last`: Gaussian radial basis functions, in a new last dimension."""
    centres = torch.linspace(0.0, last, BINS, device=values.device, dtype=values.dtype)
    return torch.exp(-(((values.unsqueeze(-1) - centres) / (last / BINS)) ** 2))


def _offsets(offsets: Tensor) -> Tensor:
    """Cosines and sines of offsets along the chain, at 8 frequencies."""
    steps = torch.arange(0, BINS, 2, dtype=torch.float32, device=offsets.device)
    angles = offsets.unsqueeze(-1) * torch.exp(steps * (-math.log(10000.0) / BINS))
    return torch.cat([angles.cos(), angles.sin()], dim=-1)
