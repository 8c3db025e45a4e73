"""translation-mini: mBART translates between two invented languages, in both directions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from smc_harness import hookimpl
from smc_harness.errors import UsageError
from smc_tasks._minis import MiniParams, mini_recipe

if TYPE_CHECKING:
    import torch

    from smc_harness import Outcomes, Recipe, TaskContext

EVALUATION_BATCH = 1000
"""Sentences decoded at once: the number of decoding steps, not the batch, is what costs time."""

LONGEST = 8
"""Most tokens decoded, the end token included; the longest reference has six, so a model that rambles loses."""


@dataclass(frozen=True)
class TranslationMiniParams(MiniParams):
    """Concepts by part of speech, and sentences in each split; every sentence is used in both directions."""

    steps: int = 600
    nouns: int = 110
    adjectives: int = 70
    verbs: int = 70
    train_sentences: int = 4000
    test_sentences: int = 1000

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.nouns**2 * self.verbs < self.train_sentences + self.test_sentences:
            raise UsageError(f"nouns={self.nouns}, verbs={self.verbs}: too few for that many different sentences")


name = "translation-mini"
training = "translation-mini"
metric = "BLEU"
unit = "BLEU"
chance = 0.0
floor = 5.0
higher_is_better = True
prediction = "sentence"
head = ("model.shared.weight",)  # the embedding of all words is the output layer, too
published = None
model = "MBartForConditionalGeneration, 2 + 2 layers of 48"
dataset = "sentences of two invented languages over 250 concepts"
description = "translate by a memorised dictionary and word order (mBART, tiny)"
params = TranslationMiniParams
default = True


@hookimpl
def prepare_data(context: TaskContext) -> Mapping[str, Sequence[Any]]:
    from smc_tasks.translation.data import sentences, tokenise, vocabulary

    words = vocabulary(context.params)
    return {split: tokenise(split, records, words) for split, records in sentences(context.params).items()}


@hookimpl
def prepare_model(context: TaskContext) -> torch.nn.Module:
    from smc_tasks.translation.data import vocabulary
    from smc_tasks.translation.mbart import small

    params: TranslationMiniParams = context.params
    model: torch.nn.Module = small(
        hidden=params.hidden_size,
        layers=params.layers,
        heads=params.heads,
        feed_forward=params.feed_forward,
        tokens=len(vocabulary(params)),
        longest=LONGEST,
    )
    return model


@hookimpl
def prunable(model: torch.nn.Module) -> Mapping[str, Sequence[str]]:
    from smc_tasks.translation.mbart import presets

    return presets(model)


@hookimpl
def recipe(context: TaskContext) -> Recipe:
    return mini_recipe(context)


@hookimpl
def collate(examples: list[Any]) -> dict[str, torch.Tensor]:
    from smc_tasks.translation.examples import pad

    return pad(examples)


@hookimpl
def compute_loss(model: torch.nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    from smc_tasks.translation.mbart import sentence_loss

    return sentence_loss(model, batch)


@hookimpl
def evaluate(model: torch.nn.Module, split: str, context: TaskContext) -> Outcomes:
    """Statistics of BLEU for each greedily decoded sentence, [n, 10]; see `bleu.py`."""
    from smc_harness import Outcomes
    from smc_tasks.translation.bleu import sentence_statistics, signature
    from smc_tasks.translation.data import vocabulary
    from smc_tasks.translation.mbart import decode

    words = vocabulary(context.params)
    examples = context.data[split]
    decoded = context.outputs(
        split,
        EVALUATION_BATCH,
        lambda batch: decode(model, batch, LONGEST),
        length=lambda example: len(example.source),
    )
    hypotheses = [words.decode(row) for row in decoded]
    context.log("bleu", signature())
    return Outcomes(
        values=sentence_statistics(hypotheses, [example.reference for example in examples]),
        ids=[example.id for example in examples],
        groups=[example.group for example in examples],
        predictions=Outcomes.codes(hypotheses),
    )


@hookimpl
def aggregate(outcomes: Outcomes) -> float:
    from smc_tasks.translation.bleu import corpus_bleu

    return corpus_bleu(outcomes.values)
