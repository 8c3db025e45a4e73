"""Batches of sentence pairs, the loss on them, and greedy decoding with a cache. Imports torch."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence

from smc_tasks._minis import require_finite
from smc_tasks.translation.data import END, PAD, Example

IGNORED = -100
"""The label of padding, which the loss leaves out."""


def pad(examples: list[Example]) -> dict[str, torch.Tensor]:
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


def sentence_loss(model: torch.nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Cross-entropy per token, averaged within each sentence and then over the sentences of the batch."""
    logits = model(
        input_ids=batch["input_ids"],
        attention_mask=batch["attention_mask"],
        decoder_input_ids=batch["decoder_input_ids"],
        use_cache=False,
    ).logits
    labels = batch["labels"]
    losses = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED, reduction="none"
    ).view_as(labels)
    return (losses.sum(dim=1) / (labels != IGNORED).sum(dim=1)).mean()


def decode_greedily(model: Any, batch: dict[str, torch.Tensor], longest: int) -> torch.Tensor:
    """Long [batch, at most `longest`]: the most probable tokens up to the end token, then padding.

    Each row starts from its own target language, the first decoder input; that token is not returned.
    """
    encoded = model.get_encoder()(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"])
    token = batch["decoder_input_ids"][:, :1]
    ended = torch.zeros_like(token, dtype=torch.bool)
    cache = None
    tokens: list[torch.Tensor] = []
    while len(tokens) < longest and not bool(ended.all()):
        output = model(
            encoder_outputs=encoded,
            attention_mask=batch["attention_mask"],
            decoder_input_ids=token,
            past_key_values=cache,
            use_cache=True,
        )
        cache = output.past_key_values
        token = require_finite(output.logits).argmax(-1).masked_fill(ended, PAD)
        ended = ended | (token == END)
        tokens.append(token)
    return torch.cat(tokens, dim=1)
