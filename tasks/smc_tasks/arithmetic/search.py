"""Beam search for the most probable well-formed expression, for many problems at once."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from smc_tasks.arithmetic.expressions import OPERATORS
from smc_tasks.arithmetic.tree_decoder import Encoding, TreeDecoder

_IMPOSSIBLE = float("-inf")
_N_OPERATORS = len(OPERATORS)


@dataclass
class _Beams:
    """R partial expressions, each with the stack of its operators whose right operand is not complete.

    A stack holds references: vectors live in one store to which every step appends, so that reordering the beams
    moves integers only. D is the deepest stack that an expression of the allowed length needs.
    """

    goals: Tensor  # [R, H] of the next symbol
    sequences: Tensor  # [R, L] symbols so far, then -1
    open: Tensor  # [R] operands still to come
    depth: Tensor  # [R] operators on the stack
    operators: Tensor  # [R, D] their symbol ids
    seeds: Tensor  # [R, D] where the seeds of their right goals are stored
    lefts: Tensor  # [R, D] where their finished left subtrees are stored, -1 while the left operand is being built

    def select(self, rows: Tensor) -> _Beams:
        return _Beams(*(getattr(self, field.name).index_select(0, rows) for field in fields(self)))


class _Store:
    """Vectors [n, H] that are appended and looked up, never changed."""

    def __init__(self, capacity: int, like: Tensor) -> None:
        self._rows = like.new_empty(capacity, like.shape[-1])
        self._used = 0

    def append(self, rows: Tensor) -> Tensor:
        """Returns the references [n] of the rows."""
        start, self._used = self._used, self._used + len(rows)
        self._rows[start : self._used] = rows
        return torch.arange(start, self._used, device=rows.device)

    def __getitem__(self, references: Tensor) -> Tensor:
        return self._rows.index_select(0, references)


@torch.no_grad()
def beam_search(decoder: TreeDecoder, encoding: Encoding, width: int, longest: int) -> tuple[Tensor, Tensor]:
    """The best expression of each problem: symbol ids [B, longest], padded with -1, and log-probabilities [B].

    width: beams per problem; 1 is greedy search. longest: most symbols of an expression. An operator is only
    considered while the operands that it opens still fit, so no beam can end unfinished and every prediction is a
    well-formed expression. A problem is done as soon as its best beam is complete: the others can only fall.
    """
    n_items, device = len(encoding.root), encoding.root.device
    best = torch.full((n_items, longest), -1, device=device)
    best_scores = encoding.root.new_zeros(n_items)
    alive = torch.arange(n_items, device=device)
    store = _Store(n_items * width * longest, encoding.root)
    scores = encoding.root.new_zeros(n_items, 1)
    beams = _start(encoding.root, longest)
    for step in range(longest):
        n_alive, n_beams = scores.shape
        goals = beams.goals.view(n_alive, n_beams, -1)
        contexts = decoder.attend(goals, encoding)
        chances = decoder.log_probabilities(goals, contexts, encoding)
        _keep_grammar(chances, beams, longest - step - 1)
        candidates = (scores.unsqueeze(2) + chances).flatten(1)
        scores, choices = candidates.topk(min(width, candidates.shape[1]), dim=1)
        n_symbols = chances.shape[2]
        parents = choices // n_symbols + torch.arange(n_alive, device=device).unsqueeze(1) * n_beams
        rows, symbols = parents.flatten(), (choices % n_symbols).flatten()
        beams = beams.select(rows)
        items = torch.arange(n_alive, device=device).repeat_interleave(scores.shape[1])
        growing = (beams.open > 0) & (scores.flatten() > _IMPOSSIBLE)
        beams.open.masked_fill_(~growing, 0)  # a beam that stands for no expression at all never grows again
        beams.sequences[:, step] = torch.where(growing, symbols, -1)
        splitting = (growing & (symbols < _N_OPERATORS)).nonzero().squeeze(1)
        _split(decoder, beams, store, splitting, contexts.flatten(0, 1)[rows[splitting]], symbols[splitting])
        ending = (growing & (symbols >= _N_OPERATORS)).nonzero().squeeze(1)
        _complete(decoder, beams, store, ending, encoding.symbols[items[ending], symbols[ending]])
        done = beams.open.view(n_alive, -1)[:, 0] == 0
        if not done.any():
            continue
        first = torch.arange(0, len(items), scores.shape[1], device=device)
        best[alive[done]], best_scores[alive[done]] = beams.sequences[first[done]], scores[done, 0]
        if done.all():
            break
        left = (~done).nonzero().squeeze(1)
        alive, scores, encoding = alive[left], scores[left], encoding.of(left)
        beams = beams.select((~done)[items].nonzero().squeeze(1))
    return best, best_scores


def _start(roots: Tensor, longest: int) -> _Beams:
    n_rows, deepest = len(roots), max(1, longest // 2)
    empty = torch.full((n_rows, deepest), -1, device=roots.device)
    sequences = torch.full((n_rows, longest), -1, device=roots.device)
    counts = torch.zeros(n_rows, dtype=torch.long, device=roots.device)
    return _Beams(roots, sequences, counts + 1, counts, empty, empty.clone(), empty.clone())


def _keep_grammar(chances: Tensor, beams: _Beams, remaining: int) -> None:
    """Rule out, in place, operators whose operands no longer fit, and continuations of complete expressions.

    chances [A, K, V]. A complete expression keeps one candidate, itself.
    """
    still_open = beams.open.view(chances.shape[:2])
    chances[..., :_N_OPERATORS].masked_fill_((still_open + 1 > remaining).unsqueeze(2), _IMPOSSIBLE)
    complete = still_open == 0
    chances.masked_fill_(complete.unsqueeze(2), _IMPOSSIBLE)
    chances[..., 0].masked_fill_(complete, 0.0)


def _split(
    decoder: TreeDecoder, beams: _Beams, store: _Store, rows: Tensor, contexts: Tensor, operators: Tensor
) -> None:
    """Some beams chose an operator and go on with its left operand. rows, operators [r]; contexts [r, H]."""
    if not len(rows):
        return
    left_seeds, right_seeds = decoder.seeds(beams.goals[rows], contexts, decoder.symbols(operators))
    depth = beams.depth[rows]
    beams.operators[rows, depth] = operators
    beams.seeds[rows, depth] = store.append(right_seeds)
    beams.lefts[rows, depth] = -1
    beams.depth[rows] = depth + 1
    beams.open[rows] += 1
    beams.goals[rows] = decoder.goal_left(left_seeds)


def _complete(decoder: TreeDecoder, beams: _Beams, store: _Store, rows: Tensor, trees: Tensor) -> None:
    """Some beams chose an operand; merge what it completes and go on with the next right operand, if any.

    rows [r]; trees [r, H], the operands' embeddings.
    """
    beams.open[rows] -= 1
    unfinished = beams.open[rows] > 0  # the embedding of a whole expression is not needed any more
    rows, trees = rows[unfinished], trees[unfinished]
    while len(rows):
        top = beams.depth[rows] - 1
        lefts = beams.lefts[rows, top]
        merging = (lefts >= 0).nonzero().squeeze(1)
        if not len(merging):
            beams.lefts[rows, top] = store.append(trees)
            beams.goals[rows] = decoder.goal_right(store[beams.seeds[rows, top]], trees)
            break
        operators = decoder.symbols(beams.operators[rows[merging], top[merging]])
        trees[merging] = decoder.join(operators, store[lefts[merging]], trees[merging])
        beams.depth[rows[merging]] = top[merging]
