"""From a list of examples to the tensors that the model reads: padded questions and a plan of their trees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NotRequired, TypedDict

import torch
from torch import Tensor

from smc_tasks.arithmetic.expressions import OPERATORS
from smc_tasks.arithmetic.graphs import padded
from smc_tasks.arithmetic.problems import Example


class Level(TypedDict):
    """The tree nodes of one depth, over the whole batch. All tensors are long.

    item [n]: the problem of each node. target [n]: its symbol id. inner [m]: which of the n are operators; the next
    level is their left operands followed by their right ones, in this order. left [m]: rows of the subtree
    embeddings of their left operands (see `Batch.merges`).
    """

    item: Tensor
    target: Tensor
    inner: Tensor
    left: Tensor


class Batch(TypedDict):
    """B questions of at most T words, with at most M numbers; V = shared symbols + M.

    tokens [B, T] and lengths [B]; positions [B, M] of the numbers and counts [B] of them. levels: the nodes of the
    equations, by depth. merges: one long tensor [3, k] for each round of merging subtrees, which holds the rows of
    the operators, of the left and of the right operands. Row b * V + s is symbol s of problem b; rows from B * V on
    are the subtrees merged so far. A problem without a known equation has no nodes. graphs [B, 2, T, T], for models
    that read them; see `graphs.py`. pieces [B, P], piece_counts [B] of them, and firsts [B, T], the place of each
    word's first piece, for pretrained encoders.
    """

    tokens: Tensor
    lengths: Tensor
    positions: Tensor
    counts: Tensor
    levels: list[Level]
    merges: list[Tensor]
    graphs: NotRequired[Tensor]
    pieces: NotRequired[Tensor]
    piece_counts: NotRequired[Tensor]
    firsts: NotRequired[Tensor]


def collate(examples: Sequence[Example]) -> Batch:
    """The batch of some examples. Padding does not change what a model computes for any of them."""
    n_words = max(len(example.tokens) for example in examples)
    # A problem without numbers keeps one place, its first word, so that every problem has at least one operand.
    n_numbers = max(1, *(len(example.positions) for example in examples))
    n_symbols = len(examples[0].vocabulary.shared) + n_numbers
    merges, rows = _merge_rounds(examples, n_symbols)
    batch = Batch(
        tokens=_padded([example.tokens for example in examples], n_words),
        lengths=torch.tensor([len(example.tokens) for example in examples]),
        positions=_padded([example.positions for example in examples], n_numbers),
        counts=torch.tensor([max(1, len(example.positions)) for example in examples]),
        levels=_levels(examples, rows, n_symbols),
        merges=merges,
    )
    graphs = [example.graphs for example in examples if example.graphs is not None]
    if graphs:
        batch["graphs"] = padded(graphs, n_words)
    pieces = [example.pieces for example in examples if example.pieces is not None]
    if pieces:
        batch["pieces"] = _padded([ids for ids, _ in pieces], max(len(ids) for ids, _ in pieces))
        batch["piece_counts"] = torch.tensor([len(ids) for ids, _ in pieces])
        batch["firsts"] = _padded([firsts for _, firsts in pieces], n_words)
    return batch


def _padded(rows: Sequence[tuple[int, ...]], width: int) -> Tensor:
    return torch.tensor([row + (0,) * (width - len(row)) for row in rows], dtype=torch.long)


Rows = dict[tuple[int, int], int]
"""(problem, place of an operator) -> row of its merged subtree."""


def _merge_rounds(examples: Sequence[Example], n_symbols: int) -> tuple[list[Tensor], Rows]:
    """Merge what the examples need, all subtrees of one height in one round."""
    rounds: list[list[tuple[int, int]]] = []
    for item, example in enumerate(examples):
        heights: dict[int, int] = {}
        for place in example.merges if example.symbols else ():
            below = (heights.get(example.left[place], -1), heights.get(example.right[place], -1))
            height = heights[place] = 1 + max(below)
            if height == len(rounds):
                rounds.append([])
            rounds[height].append((item, place))
    rows: Rows = {}
    for node in (node for nodes in rounds for node in nodes):
        rows[node] = len(examples) * n_symbols + len(rows)
    tensors = []
    for nodes in rounds:
        operators = [item * n_symbols + examples[item].symbols[place] for item, place in nodes]
        left = [_row(examples, rows, n_symbols, item, examples[item].left[place]) for item, place in nodes]
        right = [_row(examples, rows, n_symbols, item, examples[item].right[place]) for item, place in nodes]
        tensors.append(torch.tensor([operators, left, right]))
    return tensors, rows


def _levels(examples: Sequence[Example], rows: Rows, n_symbols: int) -> list[Level]:
    n_operators = len(OPERATORS)
    levels: list[Level] = []
    nodes = [(item, 0) for item, example in enumerate(examples) if example.symbols]
    while nodes:
        targets = [examples[item].symbols[place] for item, place in nodes]
        inner = [index for index, target in enumerate(targets) if target < n_operators]
        operators = [nodes[index] for index in inner]
        lefts = [(item, examples[item].left[place]) for item, place in operators]
        level = Level(
            item=torch.tensor([item for item, _ in nodes]),
            target=torch.tensor(targets),
            inner=torch.tensor(inner, dtype=torch.long),
            left=torch.tensor([_row(examples, rows, n_symbols, *node) for node in lefts], dtype=torch.long),
        )
        levels.append(level)
        nodes = lefts + [(item, examples[item].right[place]) for item, place in operators]
    return levels


def _row(examples: Sequence[Example], rows: Rows, n_symbols: int, item: int, place: int) -> int:
    merged = rows.get((item, place))
    return item * n_symbols + examples[item].symbols[place] if merged is None else merged
