"""mBART: small ones from scratch, their scope presets, the losses, and decoding. Imports torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    MBartConfig,
    MBartForConditionalGeneration,
)

from smc_harness.errors import UsageError
from smc_tasks._minis import INITIAL_STD, require_finite, scope_presets
from smc_tasks._pretrained import checkpointed, load
from smc_tasks.translation.examples import BEGIN, END, IGNORED, PAD

if TYPE_CHECKING:
    from smc_harness import TaskContext
    from smc_tasks.translation.opus import TranslationParams


def small(
    *, hidden: int, layers: int, heads: int, feed_forward: int, tokens: int, longest: int, dropout: float = 0.0
) -> Any:
    """An mBART with fresh weights. layers: of the encoder and of the decoder. longest: tokens of a sentence."""
    config = MBartConfig(
        vocab_size=tokens,
        d_model=hidden,
        encoder_layers=layers,
        decoder_layers=layers,
        encoder_attention_heads=heads,
        decoder_attention_heads=heads,
        encoder_ffn_dim=feed_forward,
        decoder_ffn_dim=feed_forward,
        max_position_embeddings=longest,
        init_std=INITIAL_STD,
        dropout=dropout,
        bos_token_id=BEGIN,
        pad_token_id=PAD,
        eos_token_id=END,
        forced_eos_token_id=None,
    )
    return MBartForConditionalGeneration(config)


def build(context: TaskContext) -> Any:
    """The task's checkpoint, or a small one from scratch."""
    params: TranslationParams = context.params
    tokens = len(context.data["train"].pieces)  # type: ignore[attr-defined]
    if context.pretrained is None:
        fresh = small(
            hidden=params.hidden,
            layers=params.layers,
            heads=params.heads,
            feed_forward=params.feed_forward,
            tokens=tokens,
            longest=params.longest + 2,
            dropout=params.dropout,
        )
        return checkpointed(fresh, context)
    model: Any = load(MBartForConditionalGeneration, context, dropout=params.dropout)
    if (room := model.config.max_position_embeddings) < params.longest + 2:
        raise UsageError(
            f"{context.name}: longest={params.longest}, but the checkpoint reads {room} tokens; "
            f"longest={room - 2} would work"
        )
    if (known := model.config.vocab_size) < tokens:
        raise UsageError(f"{context.name}: the checkpoint has {known} tokens, its tokeniser {tokens}")
    # how it decodes is said by the task alone
    ends = {"bos_token_id": BEGIN, "pad_token_id": PAD, "eos_token_id": END}
    model.generation_config = GenerationConfig(**ends)  # type: ignore[no-untyped-call]
    return checkpointed(model, context)


def presets(model: torch.nn.Module) -> Mapping[str, Sequence[str]]:
    """One tensor is the embedding of encoder and decoder and the output layer; it is listed once, as model.shared."""
    return scope_presets(
        model,
        backbone=r"coder\.layers\.",
        embeddings_and_head=r"\.shared\.|\.embed_tokens\.|\.embed_positions\.|lm_head",
    )


def token_losses(model: Any, batch: dict[str, torch.Tensor], label_smoothing: float = 0.0) -> torch.Tensor:
    """Cross-entropy of every token [batch, t]; zero at padding."""
    logits = model(
        input_ids=batch["input_ids"],
        attention_mask=batch["attention_mask"],
        decoder_input_ids=batch["decoder_input_ids"],
        use_cache=False,
    ).logits
    labels = batch["labels"]
    losses = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1),
        labels.flatten(),
        ignore_index=IGNORED,
        reduction="none",
        label_smoothing=label_smoothing,
    )
    return losses.view_as(labels)


def sentence_loss(model: torch.nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Cross-entropy per token, averaged within each sentence and then over the sentences of the batch."""
    losses = token_losses(model, batch)
    return (losses.sum(dim=1) / (batch["labels"] != IGNORED).sum(dim=1)).mean()


def decode(model: Any, batch: dict[str, torch.Tensor], longest: int, beams: int = 1) -> list[list[int]]:
    """For each sentence the tokens of its translation, at most `longest`, the end token included if it came.

    Each row starts from its own target language, the first decoder input; that token is not returned.
    beams: hypotheses that are followed at a time, 1: greedily; the best by mean log-probability per token wins.
    """
    found = model.generate(
        input_ids=batch["input_ids"],
        attention_mask=batch["attention_mask"],
        decoder_start_token_id=batch["decoder_input_ids"][:, 0].tolist(),
        max_new_tokens=longest,
        num_beams=beams,
        do_sample=False,
        logits_processor=LogitsProcessorList([_Finite()]),
    )
    return [_until_end(row) for row in found[:, 1:].tolist()]


def _until_end(tokens: list[int]) -> list[int]:
    return tokens[: tokens.index(END) + 1] if END in tokens else tokens


class _Finite(LogitsProcessor):
    """Refuses logits that are not finite, before an argmax hides them."""

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        return require_finite(scores)
