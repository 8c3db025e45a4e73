"""Graph2Tree: word problems read as graphs of quantities (Zhang et al., ACL 2020), written from the paper.

Between the reader and the tree decoder of GTS stands a graph transformer. Half of its branches convolve over the
quantity cell graph, in which each number is joined to the words around it, half over the quantity comparison graph,
in which each number points to the smaller ones.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from smc_tasks.arithmetic.batching import Batch
from smc_tasks.arithmetic.gts import GTS
from smc_tasks.arithmetic.tree_decoder import Encoding
from smc_tasks.arithmetic.words import PretrainedWords, ScratchWords

BRANCHES = 4


class Convolution(nn.Module):
    """Two graph convolutions, H -> H -> H / branches (section 3.3: relu(A X W), A with its rows normalised)."""

    def __init__(self, hidden: int, width: int, dropout: float) -> None:
        super().__init__()
        self.inner = nn.Linear(hidden, hidden)
        self.outer = nn.Linear(hidden, width)
        self.dropout = dropout

    def forward(self, gathered: Tensor, graph: Tensor) -> Tensor:
        """Gathered [B, T, H], the nodes that the graph has gathered already; graph [B, T, T] -> [B, T, width]."""
        states = torch.relu(self.inner(gathered))
        states = functional.dropout(states, self.dropout, self.training) if self.dropout else states
        found: Tensor = self.outer(graph @ states)
        return found


class GraphTransformer(nn.Module):
    """The branches side by side, then a feed-forward layer, each with a residual and a normalisation (eq. 4 to 6)."""

    def __init__(self, hidden: int, dropout: float) -> None:
        super().__init__()
        if hidden % BRANCHES:
            raise ValueError(f"hidden={hidden}: expected a multiple of {BRANCHES}")
        self.branches = nn.ModuleList(Convolution(hidden, hidden // BRANCHES, dropout) for _ in range(BRANCHES))
        self.branch_norm = nn.LayerNorm(hidden)
        self.wide = nn.Linear(hidden, hidden)
        self.narrow = nn.Linear(hidden, hidden)
        self.norm = nn.LayerNorm(hidden)
        self.dropout = dropout

    def forward(self, nodes: Tensor, graphs: Tensor) -> Tensor:
        """Nodes [B, T, H], graphs [B, 2, T, T] with normalised rows -> [B, T, H]."""
        kinds = graphs.unbind(1)
        gathered = [graph @ nodes for graph in kinds]
        parts = []
        for index, branch in enumerate(self.branches):
            kind = index * len(kinds) // BRANCHES
            parts.append(branch(gathered[kind], kinds[kind]))
        states = nodes + self.branch_norm(torch.cat(parts, dim=-1))
        hidden = torch.relu(self.wide(states))
        hidden = functional.dropout(hidden, self.dropout, self.training) if self.dropout else hidden
        found: Tensor = states + self.norm(self.narrow(hidden))
        return found


class Graph2Tree(GTS):
    """GTS whose words are enriched by the graphs before the decoder sees them."""

    def __init__(
        self,
        words: ScratchWords | PretrainedWords,
        n_shared: int,
        *,
        hidden: int,
        layers: int = 2,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(words, n_shared, hidden=hidden, layers=layers, dropout=dropout)
        self.graph = GraphTransformer(hidden, dropout)

    def encode(self, batch: Batch) -> Encoding:
        """Read the questions of a batch, with their graphs."""
        memory, question = self.encoder(batch)
        graphs = batch["graphs"].to(memory.dtype)
        return self.decoder.encode(self.graph(memory, graphs), question, batch)
