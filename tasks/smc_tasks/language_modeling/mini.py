"""language-modeling-mini: Llama tells stories in an invented language, whose facts it has to know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from smc_harness import hookimpl
from smc_harness.errors import UsageError
from smc_tasks._minis import INITIAL_STD, MiniParams, mini_recipe
from smc_tasks.language_modeling._perplexity import Perplexity

if TYPE_CHECKING:
    import torch

    from smc_harness import Outcomes, Recipe, TaskContext
    from smc_tasks.language_modeling.windows import Window

EVALUATION_BATCH = 250
"""Documents scored at once: large enough that the cost of a call vanishes, small enough to stay in the cache."""


@dataclass(frozen=True)
class LanguageModelingMiniParams(MiniParams):
    """Entities x relations facts, each with one of `values` values; after an entity comes one of `followers` others.

    sentences: of a document; documents: of each split.
    """

    learning_rate: float = 3e-3
    hidden_size: int = 64
    feed_forward: int = 160
    entities: int = 100
    relations: int = 8
    values: int = 60
    followers: int = 4
    sentences: int = 10
    train_documents: int = 6000
    test_documents: int = 2000

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.followers > self.entities:
            raise UsageError(f"followers={self.followers}: expected at most entities={self.entities}")


def words(params: LanguageModelingMiniParams) -> int:
    """Of the vocabulary: the ends of a document and of a sentence, and every word of the world."""
    return 2 + params.entities + params.relations + params.values


class LanguageModelingMini(Perplexity):
    name = training = "language-modeling-mini"
    head = ("lm_head.*",)
    published = None
    model = "LlamaForCausalLM, 2 layers of 64"
    dataset = "stories in an invented language, 800 random facts"
    description = "foretell stories by memorised facts (Llama, tiny)"
    params = LanguageModelingMiniParams
    default = False

    @staticmethod
    def chance(params: LanguageModelingMiniParams) -> float:
        """The perplexity of a uniform guess."""
        return float(words(params))

    @staticmethod
    def floor(params: LanguageModelingMiniParams) -> float:
        """A tenth of it: a model that knows the grammar and no fact."""
        return words(params) / 10

    @hookimpl
    def prepare_data(self, context: TaskContext) -> Mapping[str, Sequence[Window]]:
        from smc_tasks.language_modeling.mini_data import documents

        return documents(context.params)

    @hookimpl
    def prepare_model(self, context: TaskContext) -> torch.nn.Module:
        from transformers import LlamaConfig, LlamaForCausalLM

        params: LanguageModelingMiniParams = context.params
        config = LlamaConfig(
            vocab_size=words(params),
            hidden_size=params.hidden_size,
            intermediate_size=params.feed_forward,
            num_hidden_layers=params.layers,
            num_attention_heads=params.heads,
            max_position_embeddings=4 * params.sentences + 1,
            initializer_range=INITIAL_STD,
            bos_token_id=0,
            eos_token_id=0,
            tie_word_embeddings=False,
        )
        return LlamaForCausalLM(config)

    @hookimpl
    def recipe(self, context: TaskContext) -> Recipe:
        return mini_recipe(context)

    @hookimpl
    def evaluate(self, model: torch.nn.Module, split: str, context: TaskContext) -> Outcomes:
        from smc_tasks.language_modeling.windows import evaluate

        return evaluate(model, split, context, EVALUATION_BATCH)


language_modeling_mini = LanguageModelingMini()

plugins = (language_modeling_mini,)
