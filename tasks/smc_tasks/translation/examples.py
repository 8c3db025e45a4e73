"""Sentence pairs in ids, and batches of them. Imports torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch.nn.utils.rnn import pad_sequence

BEGIN, PAD, END = 0, 1, 2  # as in every mBART
IGNORED = -100
"""The label of padding, which losses leave out."""


class Example(NamedTuple):
    """One sentence in one direction.

    id: stable across runs. group: the sentence, shared by its directions.
    source: long tensor, `words </s> source-language`. target: long tensor, `target-language words </s>`.
    reference: the translation as text, where it is to be scored. direction: `source-target`.
    """

    id: str
    group: str
    source: torch.Tensor
    target: torch.Tensor
    reference: str
    direction: str


def pad(examples: Sequence[Example]) -> dict[str, torch.Tensor]:
    """Sources [batch, s] with their mask, decoder inputs [batch, t] and labels [batch, t], padded on the right.

    The decoder needs no mask: it is causal, and what follows the end of a target is never scored.
    """
    source = pad_sequence([example.source for example in examples], batch_first=True, padding_value=PAD)
    return {
        "input_ids": source,
        "attention_mask": (source != PAD).long(),
        "decoder_input_ids": pad_sequence([e.target[:-1] for e in examples], batch_first=True, padding_value=PAD),
        "labels": pad_sequence([e.target[1:] for e in examples], batch_first=True, padding_value=IGNORED),
    }
