"""The structure encoder of ESM-IF1 (Hsu et al. 2022): graph layers, then a transformer encoder. Imports torch.

Written anew from the papers: its own library, fair-esm, is archived, and needs torch_scatter. Names of modules are
those of the published weights, and outputs agree with fair-esm's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from torch.utils.checkpoint import checkpoint

from smc_tasks.protein.geometry import ANGLES
from smc_tasks.protein.graph_encoder import BINS, GraphEncoder, bins
from smc_tasks.protein.gvp import Features, Widths


@dataclass(frozen=True)
class Sizes:
    """width, heads, layers, feed_forward: of the transformer. nodes, edges, graph_layers: of the graph layers.

    dropout: of the transformer's states; attention_dropout: of its attention; graph_dropout: in the graph layers.
    """

    width: int
    heads: int
    layers: int
    feed_forward: int
    nodes: Widths
    edges: Widths
    graph_layers: int
    dropout: float = 0.0
    attention_dropout: float = 0.0
    graph_dropout: float = 0.0


class StructureEncoder(nn.Module):
    """Graphs of backbones -> a state for each residue."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.recompute = False  # in the backward pass, instead of keeping what the transformer's layers compute
        width = sizes.width
        # the original looks its token up in a table, and it is the same for every residue: a mask
        self.mask_token = nn.Parameter(torch.randn(width) / math.sqrt(width))
        self.embed_dihedrals = Dihedrals(width)
        self.gvp_encoder = GraphEncoder(sizes.nodes, sizes.edges, sizes.graph_layers, sizes.graph_dropout)
        self.embed_gvp_output = nn.Linear(sizes.nodes.scalars + 3 * sizes.nodes.vectors, width)
        self.embed_confidence = nn.Linear(BINS, width)
        self.embed_gvp_input_features = nn.Linear(ANGLES + 3 * 3, width)
        self.dropout = nn.Dropout(sizes.dropout)
        self.layers = nn.ModuleList(TransformerLayer(sizes) for _ in range(sizes.layers))
        self.layer_norm = nn.LayerNorm(width)

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        """States [structures, most nodes, width] of the structures that `structure_classifier.collate` joined.

        A structure's first and last state are those of its end marks; what follows the last one means nothing.
        """
        angles, known = torch.split(batch["scalars"], [ANGLES, 1], dim=-1)
        vectors = batch["vectors"].mT
        seen = self.gvp_encoder(Features(batch["scalars"], vectors), batch["positions"], batch["edges"].long())
        nodes = (
            self.mask_token * math.sqrt(self.sizes.width)
            + self.embed_dihedrals(angles)
            + self.embed_gvp_output(torch.cat([seen.scalars, _local(seen.vectors, batch["axes"])], dim=-1))
            + self.embed_confidence(bins(known.squeeze(-1), 1.0))
            + self.embed_gvp_input_features(torch.cat([angles, _local(vectors, batch["axes"])], dim=-1))
        )
        there = present(batch["lengths"])
        states = nodes.new_zeros(*there.shape, self.sizes.width)
        states[there] = nodes
        states = self.dropout(states + _places(there.shape[1], self.sizes.width).to(states)) * there.unsqueeze(-1)
        for layer in self.layers:
            if self.recompute and self.training:
                states = checkpoint(layer, states, there, use_reentrant=False)
            else:
                states = layer(states, there)
        normed: Tensor = self.layer_norm(states)
        return normed


class Dihedrals(nn.Module):
    """A linear layer and a normalisation with the sample variance, as Ingraham et al. 2019 have it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.node_embedding = nn.Linear(ANGLES, width)
        self.norm_nodes = nn.ParameterDict({"gain": torch.ones(width), "bias": torch.zeros(width)})

    def forward(self, angles: Tensor) -> Tensor:
        embedded = self.node_embedding(angles)
        spread = (embedded.var(-1, keepdim=True) + 1e-6).sqrt() + 1e-6
        scaled = (embedded - embedded.mean(-1, keepdim=True)) / spread
        found: Tensor = self.norm_nodes["gain"] * scaled + self.norm_nodes["bias"]
        return found


class Attention(nn.Module):
    """Of every node to all nodes of its structure."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.heads, self.dropout = sizes.heads, sizes.attention_dropout
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (nn.Linear(sizes.width, sizes.width) for _ in range(4))

    def forward(self, states: Tensor, there: Tensor) -> Tensor:
        query, key, value = (
            project(states).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        dropout = self.dropout if self.training else 0.0
        mixed = scaled_dot_product_attention(query, key, value, there[:, None, None], dropout)
        result: Tensor = self.out_proj(mixed.transpose(1, 2).flatten(-2))
        return result


class TransformerLayer(nn.Module):
    """Attention, then a feed-forward network with ReLU, both on normalised states (pre-norm)."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.self_attn = Attention(sizes)
        self.self_attn_layer_norm = nn.LayerNorm(sizes.width)
        self.fc1 = nn.Linear(sizes.width, sizes.feed_forward)
        self.fc2 = nn.Linear(sizes.feed_forward, sizes.width)
        self.final_layer_norm = nn.LayerNorm(sizes.width)
        self.dropout = nn.Dropout(sizes.dropout)

    def forward(self, states: Tensor, there: Tensor) -> Tensor:
        states = states + self.dropout(self.self_attn(self.self_attn_layer_norm(states), there))
        result: Tensor = states + self.dropout(self.fc2(self.fc1(self.final_layer_norm(states)).relu()))
        return result


def present(lengths: Tensor) -> Tensor:
    """Which places hold a node: bool [structures, longest]."""
    return torch.arange(int(lengths.max()), device=lengths.device) < lengths.unsqueeze(-1)


def _places(count: int, width: int) -> Tensor:
    """Sines and cosines of places in the chain, [count, width]; the first is 2, fairseq's id of padding and 1."""
    half = width // 2
    waves = torch.exp(torch.arange(half, dtype=torch.float32) * (-math.log(10000.0) / (half - 1)))
    angles = torch.arange(2, count + 2, dtype=torch.float32).unsqueeze(1) * waves
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def _local(vectors: Tensor, axes: Tensor) -> Tensor:
    """Components of vectors [nodes, xyz, channels] along the axes of their node, flat, channel by channel."""
    return (axes @ vectors).mT.flatten(1)
