"""The reader of a question: a bidirectional LSTM over word vectors."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from smc_tasks.arithmetic.batching import Batch
from smc_tasks.arithmetic.words import PretrainedWords, ScratchWords


class Encoder(nn.Module):
    """A stack of bidirectional LSTM layers over padded questions.

    Every direction of every layer is an LSTM of its own that reads left-aligned words; the leftward ones read each
    question reversed. So padding always comes last, where it changes nothing, and neither packing nor sorting is
    needed: on a CPU, torch runs padded LSTMs about four times as fast as packed ones. (Like other fused kernels they
    have no second derivative; `torch.backends.mkldnn.flags(enabled=False)` gives one that is slower and has.)
    """

    def __init__(self, words: ScratchWords | PretrainedWords, hidden: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.words = words
        sizes = [words.width] + [2 * hidden] * (layers - 1)
        self.rightward = nn.ModuleList(nn.LSTM(size, hidden, batch_first=True) for size in sizes)
        self.leftward = nn.ModuleList(nn.LSTM(size, hidden, batch_first=True) for size in sizes)
        self.dropout = dropout

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The words in context [B, T, H] and the whole question [B, H].

        Both are sums of the two directions; the question is the sum of their last states.
        """
        tokens, lengths = batch["tokens"], batch["lengths"]
        n_items, n_words = tokens.shape
        places = torch.arange(n_words, device=tokens.device)
        starts = torch.arange(0, n_items * n_words, n_words, device=tokens.device).unsqueeze(1)
        mirrored = lengths.unsqueeze(1) - 1 - places
        mirrored = (torch.where(mirrored < 0, places, mirrored) + starts).flatten()

        def mirror(states: Tensor) -> Tensor:
            return states.flatten(0, 1).index_select(0, mirrored).view_as(states)

        states = self.words(batch)
        right, left = self._both_ways(0, states, mirror)
        for layer in range(1, len(self.rightward)):
            states = self._drop(torch.cat((right, mirror(left)), dim=-1))
            right, left = self._both_ways(layer, states, mirror)
        last = starts.flatten() + lengths - 1
        question = (right + left).flatten(0, 1).index_select(0, last)
        return right + mirror(left), question

    def _both_ways(self, layer: int, states: Tensor, mirror: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        """One layer over [B, T, I]: the rightward states and, still mirrored, the leftward ones, [B, T, H] each."""
        right, _ = self.rightward[layer](states)
        left, _ = self.leftward[layer](mirror(states))
        return right, left

    def _drop(self, states: Tensor) -> Tensor:
        return functional.dropout(states, self.dropout, self.training) if self.dropout else states
