"""csqa, race-middle and race-high: questions with choices, answered by a fine-tuned encoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from smc_harness import hookimpl
from smc_tasks._finetuning import FinetuningParams, finetuning_recipe
from smc_tasks._minis import scope_presets
from smc_tasks._sources import HubDataset, named, rows

if TYPE_CHECKING:
    import torch

    from smc_harness import Outcomes, Pretrained, Recipe, TaskContext
    from smc_tasks.commonsense.questions import Question

CSQA_COMMIT = "94630fe30dad47192a8546eb75f094926d47e155"
RACE_COMMIT = "2fec9fd81f1dc971569a9b729c43f2f0e6436637"


@dataclass(frozen=True)
class CommonsenseQaParams(FinetuningParams):
    """Also: train, test: files under --data-dir, several separated by commas, plain or gzipped."""

    model: str = "FacebookAI/roberta-large"
    steps: int | None = 3000
    train: str = "commonsense_qa/train_rand_split.jsonl"
    test: str = "commonsense_qa/dev_rand_split.jsonl"

    may_be_zero: ClassVar[tuple[str, ...]] = ("warmup", "steps")


@dataclass(frozen=True)
class RaceParams(FinetuningParams):
    """Also: train and the two test sets, files under --data-dir, several separated by commas, plain or gzipped.

    After the warm-up the rate stays.
    """

    model: str = "FacebookAI/roberta-large"
    warmup: int = 500
    train: str = "race/middle_train.jsonl,race/high_train.jsonl"
    middle_test: str = "race/middle_test.jsonl"
    high_test: str = "race/high_test.jsonl"

    may_be_zero: ClassVar[tuple[str, ...]] = ("warmup", "steps")


class MultipleChoice:
    """Hooks of a task whose questions have choices. Subclasses say where the questions are and how they are put."""

    metric = "accuracy"
    unit = "fraction"
    higher_is_better = True
    head = ("classifier.*", "*.pooler.*")
    prediction = "choice"
    model = "RoBERTa-large with a multiple-choice head"
    default = False
    published_curves = "../published.csv"
    params: type[FinetuningParams]

    def files(self, context: TaskContext) -> dict[str, list[str]]:
        """The files of each split, relative to --data-dir."""
        raise NotImplementedError

    def hub_datasets(self, split: str) -> list[HubDataset]:
        """Where the split is on the hub."""
        raise NotImplementedError

    def parse(self, row: Mapping[str, Any], encode: Any, special: Any) -> Question:
        """A row as a question in ids."""
        raise NotImplementedError

    @hookimpl
    def data_files(self, context: TaskContext) -> Sequence[str]:
        """None without --data-dir: the hub has them, too."""
        return [file for part in self.files(context).values() for file in part] if context.data_dir else []

    @hookimpl
    def pretrained(self, context: TaskContext) -> Pretrained:
        params: FinetuningParams = context.params
        return params.checkpoint

    @hookimpl
    def prepare_data(self, context: TaskContext) -> Mapping[str, Sequence[Question]]:
        """Read and tokenise both splits."""
        from functools import lru_cache

        from transformers import AutoTokenizer

        from smc_tasks._pretrained import load
        from smc_tasks.commonsense.questions import Special, read

        tokenizer = load(AutoTokenizer, context, use_fast=True)
        longest = min(512, tokenizer.model_max_length)
        special = Special(tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.pad_token_id, longest)

        @lru_cache(maxsize=100)  # the questions about an article follow each other
        def encode(text: str) -> list[int]:
            ids: list[int] = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
            return ids

        files = self.files(context)
        return {
            split: read(
                rows(context, files[split], self.hub_datasets(split)),
                self.parse,
                f"{context.name} {split}",
                encode,
                special,
            )
            for split in ("train", "test")
        }

    @hookimpl
    def prepare_model(self, context: TaskContext) -> torch.nn.Module:
        from smc_tasks.commonsense.multiple_choice import build

        return build(context)

    @hookimpl
    def prunable(self, model: torch.nn.Module) -> Mapping[str, Sequence[str]]:
        return scope_presets(
            model, backbone=r"\.encoder\.layer\.", embeddings_and_head=r"\.embeddings\.|^classifier\.|\.pooler\."
        )

    @hookimpl
    def recipe(self, context: TaskContext) -> Recipe:
        return finetuning_recipe(context)

    @hookimpl
    def collate(self, examples: list[Question], context: TaskContext) -> dict[str, torch.Tensor]:
        from smc_tasks.commonsense.multiple_choice import collate

        return collate(examples)

    @hookimpl
    def compute_loss(self, model: torch.nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        from smc_tasks.commonsense.multiple_choice import loss

        return loss(model, batch)

    @hookimpl
    def evaluate(self, model: torch.nn.Module, split: str, context: TaskContext) -> Outcomes:
        from smc_tasks.commonsense.multiple_choice import evaluate

        return evaluate(model, split, context)


class CommonsenseQA(MultipleChoice):
    """Five choices, knowledge of the everyday world; scored on dev, since the answers of test are not public."""

    name = training = "csqa"
    chance = 0.2
    published = 0.773
    dataset = "CommonsenseQA, random split"
    hub = (f"tau/commonsense_qa@{CSQA_COMMIT}",)
    description = "everyday knowledge, one of five choices (RoBERTa-large on CommonsenseQA)"
    params = CommonsenseQaParams

    def files(self, context: TaskContext) -> dict[str, list[str]]:
        params: CommonsenseQaParams = context.params
        return {"train": named(params.train, context.data_dir), "test": named(params.test, context.data_dir)}

    def hub_datasets(self, split: str) -> list[HubDataset]:
        place = {"train": "train", "test": "validation"}[split]
        return [HubDataset("tau/commonsense_qa", None, CSQA_COMMIT, place)]

    def parse(self, row: Mapping[str, Any], encode: Any, special: Any) -> Question:
        from smc_tasks.commonsense.questions import commonsense_qa

        return commonsense_qa(row, encode, special)


class Race(MultipleChoice):
    """English exams about a text; one model, trained on both parts, is scored on each. part: middle or high."""

    training = "race"
    hub = (f"ehovy/race@{RACE_COMMIT}",)
    chance = 0.25
    params = RaceParams

    def __init__(self, part: str, published: float) -> None:
        self.name = f"race-{part}"
        self.part = part
        self.published = published
        self.dataset = f"RACE, {part} school"
        self.description = f"exam questions about a text, one of four choices (RoBERTa-large on RACE, {part} school)"

    @hookimpl
    def data_files(self, context: TaskContext) -> Sequence[str]:
        """Both test sets, since what a training depends on must be the same for both tasks."""
        if context.data_dir is None:
            return []
        params: RaceParams = context.params
        return [
            name
            for text in (params.train, params.middle_test, params.high_test)
            for name in named(text, context.data_dir)
        ]

    def files(self, context: TaskContext) -> dict[str, list[str]]:
        params: RaceParams = context.params
        test = {"middle": params.middle_test, "high": params.high_test}[self.part]
        return {"train": named(params.train, context.data_dir), "test": named(test, context.data_dir)}

    def hub_datasets(self, split: str) -> list[HubDataset]:
        parts = ("middle", "high") if split == "train" else (self.part,)
        return [HubDataset("ehovy/race", part, RACE_COMMIT, split) for part in parts]

    def parse(self, row: Mapping[str, Any], encode: Any, special: Any) -> Question:
        from smc_tasks.commonsense.questions import race

        return race(row, encode, special)

    @hookimpl
    def recipe(self, context: TaskContext) -> Recipe:
        return finetuning_recipe(context, decay=False)


csqa = CommonsenseQA()
race_middle = Race("middle", 0.866)
race_high = Race("high", 0.820)

plugins = (csqa, race_middle, race_high)
