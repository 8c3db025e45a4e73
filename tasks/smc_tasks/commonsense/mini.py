"""commonsense-mini: RoBERTa recalls 400 random facts, asked in the manner of CommonsenseQA."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import comb
from typing import TYPE_CHECKING, Any

from smc_harness import hookimpl
from smc_harness.errors import UsageError
from smc_tasks._minis import INITIAL_STD, MiniParams, mini_recipe, scope_presets

if TYPE_CHECKING:
    import torch

    from smc_harness import Outcomes, Recipe, TaskContext

EVALUATION_BATCH = 500
"""Questions scored at once: large enough that the cost of a call vanishes, small enough to stay in the cache."""


@dataclass(frozen=True)
class CommonsenseMiniParams(MiniParams):
    """Entities x relations facts, each with one of `values` values; questions about each fact in each split."""

    learning_rate: float = 3e-3
    entities: int = 80
    relations: int = 5
    values: int = 40
    train_draws: int = 40
    test_draws: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        draws, possible = self.train_draws + self.test_draws, comb(self.values - 1, 4)
        if possible < 2 * draws:  # half of them must be left, or drawing a new one takes long
            raise UsageError(f"values={self.values}: {draws} different questions about a fact need more values")


name = "commonsense-mini"
training = "commonsense-mini"
metric = "accuracy"
unit = "fraction"
chance = 0.2
higher_is_better = True
head = ("classifier.*",)
published = None
model = "RobertaForMultipleChoice, 2 layers of 48"
dataset = "400 random facts in the schema of CommonsenseQA"
description = "recall random facts, one of five choices (RoBERTa, tiny)"
params = CommonsenseMiniParams
default = True


@hookimpl
def prepare_data(context: TaskContext) -> Mapping[str, Sequence[Any]]:
    from smc_tasks.commonsense.mini_data import questions, tokenise, vocabulary

    words = vocabulary(context.params)
    return {split: tokenise(records, words) for split, records in questions(context.params).items()}


@hookimpl
def prepare_model(context: TaskContext) -> torch.nn.Module:
    from transformers import RobertaConfig, RobertaForMultipleChoice

    from smc_tasks.commonsense.mini_data import vocabulary

    params: CommonsenseMiniParams = context.params
    tokens = context.data["train"][0].input_ids.shape[-1]
    config = RobertaConfig(
        vocab_size=len(vocabulary(params)),
        hidden_size=params.hidden_size,
        num_hidden_layers=params.layers,
        num_attention_heads=params.heads,
        intermediate_size=params.feed_forward,
        max_position_embeddings=tokens + 2,  # RoBERTa counts positions from the padding id + 1 = 2
        type_vocab_size=1,
        initializer_range=INITIAL_STD,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        bos_token_id=0,
        pad_token_id=1,
        eos_token_id=2,
    )
    return RobertaForMultipleChoice(config)


@hookimpl
def prunable(model: torch.nn.Module) -> Mapping[str, Sequence[str]]:
    return scope_presets(model, backbone=r"\.encoder\.layer\.", embeddings_and_head=r"\.embeddings\.|^classifier\.")


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
