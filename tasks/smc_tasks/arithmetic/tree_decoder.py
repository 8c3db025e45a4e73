"""The goal-driven tree decoder of Xie and Sun (IJCAI 2019).

Every node of an expression has a goal vector. A node attends to the question, picks a symbol, and, if that is an
operator, splits its goal: the left operand gets one part; the right one gets the other, together with the
embedding of the finished left subtree. Here the goals of many nodes are worked out at once.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from smc_tasks.arithmetic.batching import Batch
from smc_tasks.arithmetic.expressions import OPERATORS


class Encoding(NamedTuple):
    """A batch of questions as the decoder sees them: B problems, T words, V symbols, hidden size H."""

    root: Tensor
    """[B, H] the goal of the whole question"""
    memory: Tensor
    """[B, T, H] the words in context"""
    keys: Tensor
    """[B, T, H] their part of the attention energies"""
    memory_bias: Tensor
    """[B, T] 0 for words, -inf for padding"""
    symbols: Tensor
    """[B, V, H] embeddings of the operators, constants and numbers of each problem"""
    operand_keys: Tensor
    """[B, V - operators, H] the part that constants and numbers have in their scores"""
    symbol_bias: Tensor
    """[B, V] 0 for symbols of the problem, -inf for numbers that it does not have"""

    def of(self, items: Tensor) -> Encoding:
        """The encoding of some of the problems."""
        return Encoding(*(tensor.index_select(0, items) for tensor in self))


class Additive(nn.Module):
    """The energy v^T tanh(W [query; key] + b), with W split so that each half is applied only once."""

    def __init__(self, query: int, hidden: int) -> None:
        super().__init__()
        self.query = nn.Linear(query, hidden)
        self.key = nn.Linear(hidden, hidden, bias=False)
        self.energy = nn.Linear(hidden, 1, bias=False)

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        """Query [G, K, Q], keys [G, N, H] that `self.key` was applied to -> energies [G, K, N]."""
        mixed = torch.tanh(self.query(query).unsqueeze(2) + keys.unsqueeze(1))
        energies: Tensor = self.energy(mixed).squeeze(-1)
        return energies


def wide(states: Tensor) -> Tensor:
    """States that are looked up and stored have one type, whatever autocast made of the matrices around them."""
    return states.to(torch.promote_types(states.dtype, torch.float32))


def gated(pair: Tensor) -> Tensor:
    """sigmoid(first half) * tanh(second half), along the last dimension; in float32 where matrices are bfloat16."""
    gate, content = wide(pair).chunk(2, dim=-1)
    return torch.sigmoid(gate) * torch.tanh(content)


class TreeDecoder(nn.Module):
    """Scores and builds prefix expressions for encoded questions.

    n_shared: operators and constants, which have one embedding each; a number's embedding is its word in context.
    """

    def __init__(self, hidden: int, n_shared: int, dropout: float) -> None:
        super().__init__()
        self.symbols = nn.Embedding(n_shared, hidden)
        self.attention = Additive(hidden, hidden)
        self.score = Additive(2 * hidden, hidden)
        # The paper scores operators as it scores operands; the published code has a layer for them, as here.
        self.operators = nn.Linear(2 * hidden, len(OPERATORS))
        # Gates and contents that read the same input are one matrix: first the gates, then the contents.
        self.split = nn.Linear(3 * hidden, 4 * hidden)
        self.left_goal = nn.Linear(hidden, 2 * hidden)
        self.right_goal = nn.Linear(2 * hidden, 2 * hidden)
        self.merge = nn.Linear(3 * hidden, 2 * hidden)
        self.dropout = dropout
        # With torch's default, a third of this, goals fade from level to level and deep operands are learned late.
        for layer in (self.split, self.left_goal, self.right_goal, self.merge):
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="tanh")
        for part in (self.attention, self.score):
            nn.init.kaiming_uniform_(part.query.weight, nonlinearity="tanh")
            nn.init.kaiming_uniform_(part.key.weight, nonlinearity="tanh")

    def encode(self, memory: Tensor, root: Tensor, batch: Batch) -> Encoding:
        """What does not change while decoding. memory [B, T, H], root [B, H]."""
        memory, root = wide(memory), wide(root)
        n_items, n_words, hidden = memory.shape
        starts = torch.arange(0, n_items * n_words, n_words, device=memory.device).unsqueeze(1)
        places = (batch["positions"] + starts).flatten()
        numbers = memory.flatten(0, 1).index_select(0, places).view(n_items, -1, hidden)
        symbols = torch.cat((self.symbols.weight.expand(n_items, -1, -1), numbers), dim=1)
        n_shared = self.symbols.num_embeddings
        return Encoding(
            root=root,
            memory=memory,
            keys=self.attention.key(memory),
            memory_bias=_bias(batch["lengths"], n_words, memory),
            symbols=symbols,
            operand_keys=self.score.key(self.drop(symbols[:, len(OPERATORS) :])),
            symbol_bias=_bias(batch["counts"] + n_shared, symbols.shape[1], memory),
        )

    def attend(self, goals: Tensor, encoding: Encoding) -> Tensor:
        """Goals [G, K, H] -> contexts [G, K, H]."""
        energies = self.attention(self.drop(goals), encoding.keys) + encoding.memory_bias.unsqueeze(1)
        return torch.softmax(energies, dim=-1) @ encoding.memory

    def log_probabilities(self, goals: Tensor, contexts: Tensor, encoding: Encoding) -> Tensor:
        """goals, contexts [G, K, H] -> log-probabilities of the symbols [G, K, V]."""
        query = self.drop(torch.cat((goals, contexts), dim=-1))
        energies = self._energies(query, encoding.operand_keys)
        return torch.log_softmax(energies + encoding.symbol_bias.unsqueeze(1), dim=-1)

    def _energies(self, query: Tensor, operand_keys: Tensor) -> Tensor:
        """Query [G, K, 2H], keys [G, V - operators, H] -> the energies of all symbols [G, K, V]."""
        return torch.cat((self.operators(query), self.score(query, operand_keys)), dim=-1)

    def seeds(self, goals: Tensor, contexts: Tensor, operators: Tensor) -> tuple[Tensor, Tensor]:
        """[n, H] each -> what the left and the right goal grow from, [n, H] each."""
        both = gated(self.split(self.drop(torch.cat((goals, contexts, operators), dim=-1))))
        left, right = both.chunk(2, dim=-1)
        return left, right

    def goal_left(self, seeds: Tensor) -> Tensor:
        """[n, H] -> the goals of left operands [n, H]."""
        return gated(self.left_goal(self.drop(seeds)))

    def goal_right(self, seeds: Tensor, left_trees: Tensor) -> Tensor:
        """[n, H] each -> the goals of right operands [n, H], which know the left subtree."""
        return gated(self.right_goal(self.drop(torch.cat((seeds, left_trees), dim=-1))))

    def join(self, operators: Tensor, left: Tensor, right: Tensor) -> Tensor:
        """[n, H] each -> embeddings of whole subtrees [n, H]."""
        return gated(self.merge(self.drop(torch.cat((operators, left, right), dim=-1))))

    def log_likelihood(self, encoding: Encoding, batch: Batch) -> Tensor:
        """[B] log-probability of each problem's equation; 0 where the equation is not known.

        Subtree embeddings depend on the equation alone, so they come first, from the leaves up; then all goals of
        one depth are computed at once, from the root down. The loops run over depths, not over problems or symbols.
        """
        n_items, _, hidden = encoding.symbols.shape
        trees = encoding.symbols.reshape(-1, hidden)
        for operators, left, right in batch["merges"]:
            merged = self.join(trees[operators], trees[left], trees[right])
            trees = torch.cat((trees, merged))
        totals = encoding.root.new_zeros(n_items)
        if not batch["levels"]:
            return totals
        goals = encoding.root.index_select(0, batch["levels"][0]["item"])
        queries, n_symbols = [], encoding.symbols.shape[1]
        for level in batch["levels"]:
            items, inner = level["item"], level["inner"]
            contexts = self._attend_each(goals, items, encoding)
            queries.append(torch.cat((goals, contexts), dim=-1))
            if len(inner):
                chosen = items.index_select(0, inner) * n_symbols + level["target"].index_select(0, inner)
                parts = goals.index_select(0, inner), contexts.index_select(0, inner), trees.index_select(0, chosen)
                left_seeds, right_seeds = self.seeds(*parts)
                right_goals = self.goal_right(right_seeds, trees.index_select(0, level["left"]))
                goals = torch.cat((self.goal_left(left_seeds), right_goals))
        items = torch.cat([level["item"] for level in batch["levels"]])
        targets = torch.cat([level["target"] for level in batch["levels"]])
        query = self.drop(torch.cat(queries)).unsqueeze(1)
        energies = self._energies(query, encoding.operand_keys.index_select(0, items))
        energies = energies.squeeze(1) + encoding.symbol_bias.index_select(0, items)
        losses = functional.cross_entropy(energies, targets, reduction="none")
        return totals.index_add(0, items, losses, alpha=-1)

    def drop(self, states: Tensor) -> Tensor:
        """Dropout, as before every matrix of the decoder."""
        return functional.dropout(states, self.dropout, self.training) if self.dropout else states

    def _attend_each(self, goals: Tensor, items: Tensor, encoding: Encoding) -> Tensor:
        """`attend` for goals [n, H] of any problems."""
        keys, memory = encoding.keys.index_select(0, items), encoding.memory.index_select(0, items)
        energies = self.attention(self.drop(goals).unsqueeze(1), keys).squeeze(1)
        weights = torch.softmax(energies + encoding.memory_bias.index_select(0, items), dim=-1)
        return (weights.unsqueeze(1) @ memory).squeeze(1)


def _bias(counts: Tensor, width: int, like: Tensor) -> Tensor:
    """[B, width]: 0 at the first `counts` places, -inf at the others."""
    absent = torch.arange(width, device=counts.device) >= counts.unsqueeze(1)
    return like.new_zeros(absent.shape).masked_fill_(absent, float("-inf"))
