"""winogrande: who is meant? A fine-tuned masked language model fills the blank; there is no head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from smc_harness import hookimpl
from smc_tasks._finetuning import FinetuningParams, finetuning_recipe
from smc_tasks._minis import scope_presets
from smc_tasks._sources import HubDataset, named, rows

if TYPE_CHECKING:
    import torch

    from smc_harness import Outcomes, Pretrained, Recipe, TaskContext
    from smc_tasks.commonsense.masked_words import Sentence

COMMIT = "01e74176c63542e6b0bcb004dcdea22d94fb67b5"


@dataclass(frozen=True)
class WinograndeParams(FinetuningParams):
    """Also: train, test: files under --data-dir, several separated by commas, plain or gzipped."""

    model: str = "FacebookAI/roberta-large"
    steps: int | None = 23_750
    batch_size: int = 32
    warmup: int = 2_375
    train: str = "winogrande_1.1/train_xl.jsonl"
    test: str = "winogrande_1.1/dev.jsonl"

    may_be_zero: ClassVar[tuple[str, ...]] = ("warmup", "steps")


class Winogrande:
    """Scored on dev, since the answers of test are not public."""

    name = training = "winogrande"
    metric = "accuracy"
    unit = "fraction"
    chance = 0.5
    higher_is_better = True
    published = 0.763
    published_curves = "../published.csv"
    prediction = "filler"
    model = "RoBERTa-large as masked language model"
    dataset = "WinoGrande 1.1, xl"
    hub = (f"allenai/winogrande@{COMMIT}",)
    description = "who is meant, one of two fillers (RoBERTa-large on WinoGrande)"
    params = WinograndeParams
    default = False

    @hookimpl
    def data_files(self, context: TaskContext) -> Sequence[str]:
        """None without --data-dir: the hub has them, too."""
        params: WinograndeParams = context.params
        if context.data_dir is None:
            return []
        return [*named(params.train, context.data_dir), *named(params.test, context.data_dir)]

    @hookimpl
    def pretrained(self, context: TaskContext) -> Pretrained:
        params: WinograndeParams = context.params
        return params.checkpoint

    @hookimpl
    def prepare_data(self, context: TaskContext) -> Mapping[str, Sequence[Sentence]]:
        """Read and tokenise both splits."""
        from transformers import AutoTokenizer

        from smc_harness.errors import UsageError
        from smc_tasks._pretrained import load
        from smc_tasks.commonsense.masked_words import winogrande

        params: WinograndeParams = context.params
        tokenizer = load(AutoTokenizer, context, use_fast=True)

        def encode(text: str) -> list[int]:
            ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
            return ids

        splits: dict[str, list[Sentence]] = {}
        for split, text, place in (("train", params.train, "train"), ("test", params.test, "validation")):
            hub = [HubDataset("allenai/winogrande", "winogrande_xl", COMMIT, place)]
            found = rows(context, named(text, context.data_dir), hub)
            splits[split] = []
            for number, row in enumerate(found, start=1):
                try:
                    splits[split].append(winogrande(row, number, encode, tokenizer))
                except (KeyError, TypeError, ValueError) as error:
                    raise UsageError(f"{self.name} {split}: row {number}: {type(error).__name__}: {error}") from error
        return splits

    @hookimpl
    def prepare_model(self, context: TaskContext) -> torch.nn.Module:
        """Raises UsageError for a checkpoint without the masked-LM head."""
        from transformers import AutoModelForMaskedLM

        from smc_tasks._pretrained import checkpointed, load

        model: torch.nn.Module = checkpointed(load(AutoModelForMaskedLM, context), context)
        return model

    @hookimpl
    def prunable(self, model: torch.nn.Module) -> Mapping[str, Sequence[str]]:
        """The paper leaves the dense layer of the language-model head out; its output matrix is the word embedding."""
        return scope_presets(
            model,
            backbone=r"\.encoder\.layer\.",
            embeddings_and_head=r"\.embeddings\.|^lm_head\.|^cls\.",
            unused=r"\.pooler\.|^lm_head\.dense\.|^cls\.predictions\.transform\.",
        )

    @hookimpl
    def recipe(self, context: TaskContext) -> Recipe:
        return finetuning_recipe(context)

    @hookimpl
    def collate(self, examples: list[Sentence]) -> dict[str, torch.Tensor]:
        from smc_tasks.commonsense.masked_words import collate

        return collate(examples)

    @hookimpl
    def compute_loss(self, model: torch.nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        from smc_tasks.commonsense.masked_words import loss

        return loss(model, batch)

    @hookimpl
    def evaluate(self, model: torch.nn.Module, split: str, context: TaskContext) -> Outcomes:
        from smc_tasks.commonsense.masked_words import evaluate

        return evaluate(model, split, context)


winogrande = Winogrande()

plugins = (winogrande,)
