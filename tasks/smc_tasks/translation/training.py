"""How mBART is fine-tuned in many directions at once, and scored. Imports torch."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from smc_harness import Outcomes, Recipe
from smc_tasks.translation.bleu import corpus_bleu, sentence_statistics, signature
from smc_tasks.translation.corpus import Corpus, temperature_draw, token_batches
from smc_tasks.translation.mbart import decode, token_losses

if TYPE_CHECKING:
    from smc_harness import TaskContext
    from smc_tasks.translation.opus import TranslationParams

EPOCH = 100_000
"""Most pairs that are drawn, sorted by length and cut into batches at a time."""


@dataclass(frozen=True)
class InverseSquareRoot:
    """Rise linearly over `warmup` steps, then fall as 1 / square root of the steps (Vaswani et al. 2017, eq. 3)."""

    warmup: int

    def __call__(self, step: int, total: int) -> float:
        done, rise = step + 1, max(1, self.warmup)
        return min(done / rise, math.sqrt(rise / done))


def recipe(context: TaskContext) -> Recipe:
    """Adam with betas (0.9, 0.98) and eps 1e-6, no weight decay, no clipping; batches of so many tokens."""
    params: TranslationParams = context.params
    corpus = _corpus(context)
    lengths = corpus.lengths

    def optimizer(groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        return torch.optim.Adam(groups, lr=params.learning_rate, betas=(0.9, 0.98), eps=1e-6, fused=True)

    def batch_order(examples: int, size: int, generator: torch.Generator) -> Iterator[list[int]]:
        draws = temperature_draw(corpus.sizes, params.temperature, min(examples, EPOCH), generator)
        return token_batches(draws, lengths, params.batch_tokens, generator)

    return Recipe(
        steps=params.steps,
        batch_size=max(1, round(params.batch_tokens / float(lengths.double().mean()))),
        optimizer=optimizer,
        schedule=InverseSquareRoot(params.warmup),
        batch_order=batch_order,
        micro_batch=params.micro_batch,
    )


def loss(model: torch.nn.Module, batch: dict[str, torch.Tensor], context: TaskContext) -> torch.Tensor:
    """Cross-entropy with smoothed labels, summed over a sentence, as a share of the mean sentence's length.

    So all tokens weigh the same, as in fairseq. It divides by the tokens of the batch; a constant makes the losses of
    parts of a batch add up to that of the whole.
    """
    params: TranslationParams = context.params
    losses = token_losses(model, batch, params.label_smoothing)
    return losses.sum(dim=1).mean() / _corpus(context).labels_per_sentence


def evaluate(model: torch.nn.Module, split: str, context: TaskContext) -> Outcomes:
    """Statistics of BLEU and the number of the direction for each decoded sentence, [n, 11]; see `bleu.py`."""
    params: TranslationParams = context.params
    examples = context.data[split]
    decoded = context.outputs(
        split,
        params.evaluation_batch,
        lambda batch: decode(model, batch, params.longest, params.beams),
        length=lambda example: len(example.source),
    )
    hypotheses = _corpus(context).pieces.decode(decoded)
    statistics = sentence_statistics(hypotheses, [example.reference for example in examples], params.words)
    names = sorted({example.direction for example in examples})
    numbers = torch.tensor([names.index(example.direction) for example in examples])
    for number, name in enumerate(names):
        context.log(f"BLEU {name}", corpus_bleu(statistics[numbers == number]))
    context.log("bleu", signature(params.words))
    return Outcomes(
        values=torch.cat([statistics, numbers.unsqueeze(1).to(statistics)], dim=1),
        ids=[example.id for example in examples],
        groups=[example.group for example in examples],
        predictions=Outcomes.codes(hypotheses),
    )


def _corpus(context: TaskContext) -> Corpus:
    corpus = context.data["train"]
    assert isinstance(corpus, Corpus)
    return corpus
