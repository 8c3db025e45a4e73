"""The two graphs of a word problem over its words (Zhang et al., ACL 2020, section 3.1)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

CELL, COMPARISON = 0, 1
"""Which of the two graphs: the first index of what `quantity_graphs` returns."""


def quantity_graphs(
    cells: Sequence[Sequence[int]], positions: Sequence[int], values: Sequence[float], n: int
) -> Tensor:
    """Float tensor [2, n, n] over n words, rows normalised to sum to 1.

    cells: the places of words that belong together, those of a quantity; they are joined to one another, whichever way.
    positions, values: of the numbers; each points to those that are smaller. Every word is joined to itself.
    """
    graphs = torch.eye(n).repeat(2, 1, 1)
    for cell in cells:
        places = torch.tensor(cell, dtype=torch.long)
        graphs[CELL, places.unsqueeze(1), places] = 1.0
    for place, value in zip(positions, values, strict=True):
        for other, smaller in zip(positions, values, strict=True):
            if value > smaller:
                graphs[COMPARISON, place, other] = 1.0
    return graphs / graphs.sum(-1, keepdim=True)


def padded(graphs: Sequence[Tensor], width: int) -> Tensor:
    """[B, 2, width, width] of graphs of at most `width` words; padding is joined to nothing."""
    batch = torch.zeros(len(graphs), 2, width, width)
    for item, graph in enumerate(graphs):
        n = graph.shape[-1]
        batch[item, :, :n, :n] = graph
    return batch
