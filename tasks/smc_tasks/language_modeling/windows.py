"""Texts as windows of tokens, and how well a causal language model foretells them. Imports torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pad_sequence

from smc_harness import Outcomes
from smc_tasks._minis import require_finite

if TYPE_CHECKING:
    from smc_harness import TaskContext

WORST = 100.0
"""Nats a token at most: what is worse has no perplexity that a float could hold."""
_IGNORED = -100
_POSITIONS = 512
"""Whose log-probabilities are computed at once: a vocabulary of 100 000 words makes 200 MB of them."""


class Window(NamedTuple):
    """id: stable across runs. group: the document. tokens: [length] ids. scored: how many of the last ones count."""

    id: str
    group: str
    tokens: Tensor
    scored: int


def windows(tokens: Tensor, length: int, stride: int | None = None) -> list[Window]:
    """A text in windows of `length` tokens.

    stride: None for the protocol of published tables: windows follow each other, each foretold from its own start, and
    what is left at the end is dropped. Else each begins `stride` tokens after the one before, only what that did not
    have is scored, and the last one ends with the text.
    """
    if stride is None:
        parts = tokens[: len(tokens) // length * length].view(-1, length)
        return [Window(str(number), str(number), part, length - 1) for number, part in enumerate(parts)]
    found: list[Window] = []
    seen = 1  # nothing foretells the first token
    for start in range(0, len(tokens), stride):
        end = min(start + length, len(tokens))
        if end > seen:
            found.append(Window(str(len(found)), str(len(found)), tokens[start:end], end - seen))
        seen = max(seen, end)
        if end == len(tokens):
            break
    return found


def collate(examples: Sequence[Window]) -> dict[str, Tensor]:
    """input_ids, targets: [windows, tokens]; a target is what comes next, or -100 where that is not scored.

    Short windows are padded at the end, which nothing before it can see.
    """
    targets = []
    for window in examples:
        target = torch.full_like(window.tokens, _IGNORED)
        target[-1 - window.scored : -1] = window.tokens[-window.scored :]
        targets.append(target)
    return {
        "input_ids": pad_sequence([window.tokens for window in examples], batch_first=True),
        "targets": pad_sequence(targets, batch_first=True, padding_value=_IGNORED),
    }


def loss(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    """Nats a scored token, the mean over the windows."""
    targets = batch["targets"]
    logits = model(input_ids=batch["input_ids"], use_cache=False).logits
    losses = cross_entropy(logits.float().flatten(0, 1), targets.flatten(), ignore_index=_IGNORED, reduction="none")
    return (losses.view_as(targets).sum(1) / (targets != _IGNORED).sum(1)).mean()


def evaluate(model: nn.Module, split: str, context: TaskContext, batch: int | None) -> Outcomes:
    """[windows, 2]: the nats of a window, and how many tokens they are of."""
    examples: list[Window] = list(context.data[split])

    def nats(batch: dict[str, Tensor]) -> Tensor:
        logits, targets = model(input_ids=batch["input_ids"], use_cache=False).logits, batch["targets"]
        sums = torch.zeros(len(targets), dtype=torch.float64, device=targets.device)
        for part, wanted in zip(torch.split(logits, _POSITIONS, 1), torch.split(targets, _POSITIONS, 1), strict=True):
            losses = cross_entropy(part.float().transpose(1, 2), wanted, ignore_index=_IGNORED, reduction="none")
            sums += losses.double().sum(1)
        return require_finite(sums, "log-probabilities").cpu()

    sums = context.outputs(split, batch, nats, length=lambda window: len(window.tokens))
    counts = [window.scored for window in examples]
    return Outcomes(
        values=torch.stack([torch.stack(sums), torch.tensor(counts, dtype=torch.float64)], dim=1),
        ids=[window.id for window in examples],
        groups=[window.group for window in examples],
    )


def perplexity(values: Tensor) -> float:
    """Of the windows whose nats and tokens are the rows of [n, 2]: exp(nats / tokens)."""
    nats, tokens = values.double().sum(0).tolist()
    return math.exp(min(nats / tokens, WORST))
