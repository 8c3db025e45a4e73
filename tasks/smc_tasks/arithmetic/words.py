"""What the reader of a question starts from: word vectors trained from scratch, or those of a pretrained encoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from smc_harness.errors import UsageError
from smc_tasks._pretrained import load
from smc_tasks.arithmetic.batching import Batch

if TYPE_CHECKING:
    from smc_harness import TaskContext

Pieces = tuple[tuple[int, ...], tuple[int, ...]]
"""Ids of a question's pieces, special ones included, and the place of each word's first piece."""

FAMILIES = ("bert", "roberta", "xlm-roberta")
"""Model types whose encoder can be built without its pooler, which nothing here would read."""


class ScratchWords(nn.Module):
    """An embedding, with dropout as in the original code. width: of the vectors."""

    def __init__(self, n_words: int, width: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.embedding = nn.Embedding(n_words, width)
        self.width = width
        self.dropout = dropout

    def forward(self, batch: Batch) -> Tensor:
        """Word vectors [B, T, width]."""
        states: Tensor = self.embedding(batch["tokens"])
        return functional.dropout(states, self.dropout, self.training) if self.dropout else states


class PretrainedWords(nn.Module):
    """A pretrained encoder, fine-tuned; a word's vector is the state of its first piece."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self.width = int(model.config.hidden_size)

    def forward(self, batch: Batch) -> Tensor:
        """Word vectors [B, T, width]."""
        pieces, firsts = batch["pieces"], batch["firsts"]
        places = torch.arange(pieces.shape[1], device=pieces.device)
        present = (places < batch["piece_counts"].unsqueeze(1)).long()
        states = self.model(input_ids=pieces, attention_mask=present).last_hidden_state
        starts = torch.arange(0, pieces.numel(), pieces.shape[1], device=pieces.device).unsqueeze(1)
        found: Tensor = states.flatten(0, 1).index_select(0, (firsts + starts).flatten())
        return found.view(*firsts.shape, self.width)


def pretrained_words(context: TaskContext) -> PretrainedWords:
    """The encoder of the task's checkpoint. Raises UsageError for one of another family."""
    from transformers import AutoConfig, AutoModel

    config = load(AutoConfig, context)
    if config.model_type not in FAMILIES:
        raise UsageError(
            f"{context.name}: the checkpoint is a {config.model_type!r} model; {' or '.join(FAMILIES)} would work"
        )
    return PretrainedWords(load(AutoModel, context, add_pooling_layer=False, use_safetensors=True))


def piece_reader(context: TaskContext) -> Callable[[Sequence[str]], Pieces]:
    """The tokeniser of the task's checkpoint, for questions that are split into words.

    What it returns raises ValueError for a question that is longer than the encoder can read.
    """
    from transformers import AutoTokenizer

    tokenizer = load(AutoTokenizer, context, use_fast=True, add_prefix_space=True)

    def read(words: Sequence[str]) -> Pieces:
        coded = tokenizer(list(words), is_split_into_words=True)
        if len(coded["input_ids"]) > tokenizer.model_max_length:
            raise ValueError(f"{len(coded['input_ids'])} pieces, but the encoder reads {tokenizer.model_max_length}")
        firsts: dict[int, int] = {}
        for place, word in enumerate(coded.word_ids()):
            if word is not None:
                firsts.setdefault(word, place)
        # a word that the tokeniser drops, such as a lone control character, reads the first special piece
        return tuple(coded["input_ids"]), tuple(firsts.get(word, 0) for word in range(len(words)))

    return read
