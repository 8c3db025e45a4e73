"""protein-mini: ESM finds the motif that tells the class of a sequence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from smc_harness import hookimpl
from smc_harness.errors import UsageError
from smc_tasks._minis import MiniParams, mini_recipe, scope_presets

if TYPE_CHECKING:
    import torch

    from smc_harness import Outcomes, Recipe, TaskContext

EVALUATION_BATCH = 500
"""Sequences scored at once."""


@dataclass(frozen=True)
class ProteinMiniParams(MiniParams):
    """`motifs` motifs of `motif_length` residues for each class, in sequences of `length` residues."""

    steps: int = 950
    classes: int = 4
    motifs: int = 4
    motif_length: int = 4
    length: int = 16
    train_sequences: int = 8000
    test_sequences: int = 2000

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.classes < 2 or self.classes * self.motifs * self.length > 20**self.motif_length:
            raise UsageError(
                f"classes={self.classes}, motifs={self.motifs}, motif_length={self.motif_length}: expected two classes "
                "or more, and motifs so rare that a random sequence seldom has one"
            )
        around = self.length - self.motif_length
        if around < 0 or self.motifs * 20**around < self.train_sequences + self.test_sequences:
            raise UsageError(f"length={self.length}: too short for that many different sequences")


name = "protein-mini"
training = "protein-mini"
metric = "accuracy"
unit = "fraction"
chance = 0.25
higher_is_better = True
head = ("classifier.*",)
published = None
model = "EsmForSequenceClassification, 2 layers of 48"
dataset = "random sequences with one motif of their class"
description = "classify sequences by a hidden motif, four classes (ESM, tiny)"
params = ProteinMiniParams
default = True


@hookimpl
def prepare_data(context: TaskContext) -> Mapping[str, Sequence[Any]]:
    from smc_tasks.protein.mini_data import sequences, tokenise

    return {split: tokenise(split, records) for split, records in sequences(context.params).items()}


@hookimpl
def prepare_model(context: TaskContext) -> torch.nn.Module:
    from transformers import EsmForSequenceClassification

    from smc_tasks.protein.encoders import small_config
    from smc_tasks.protein.mini_data import VOCABULARY

    params: ProteinMiniParams = context.params
    sizes = (params.hidden_size, params.layers, params.heads, params.feed_forward)
    config = small_config(*sizes, tokens=len(VOCABULARY), longest=params.length + 2)
    config.num_labels = params.classes
    return EsmForSequenceClassification(config)


@hookimpl
def prunable(model: torch.nn.Module) -> Mapping[str, Sequence[str]]:
    # The contact head predicts protein structure; classification never calls it.
    return scope_presets(
        model,
        backbone=r"\.encoder\.layer\.",
        embeddings_and_head=r"\.embeddings\.|^classifier\.",
        unused=r"\.contact_head\.|\.position_embeddings\.",
    )


@hookimpl
def recipe(context: TaskContext) -> Recipe:
    return mini_recipe(context)


@hookimpl
def collate(examples: list[Any]) -> dict[str, torch.Tensor]:
    from smc_tasks._classification import stack

    return stack(examples)


@hookimpl
def compute_loss(model: torch.nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    from smc_tasks._classification import cross_entropy

    return cross_entropy(model, batch)


@hookimpl
def evaluate(model: torch.nn.Module, split: str, context: TaskContext) -> Outcomes:
    from smc_tasks._classification import score_classes

    return score_classes(model, split, context, EVALUATION_BATCH)
