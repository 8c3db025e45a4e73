"""Multiple choice by log-likelihood: what a pretrained language model knows without having been asked before.

The likeliest choice is its answer: of all tokens of a choice together, or as `acc_norm` by the character.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from smc_harness import hookimpl
from smc_tasks._sources import HubDataset
from smc_tasks.language_modeling._pretrained_model import (
    C4_COMMIT,
    LanguageModelParams,
    PretrainedLanguageModel,
)

if TYPE_CHECKING:
    import torch

    from smc_harness import Outcomes, TaskContext

SUPER_GLUE_COMMIT = "3de24cf8022e94f4ee4b9d55a6f539891524d646"
PIQA_COMMIT = "142f6d7367fd9877f0fb3b5734ea6a545f54cdd1"
ARC_COMMIT = "210d026faf9955653af8916fad021475a3f00453"
HELLASWAG_COMMIT = "218ec52e09a7e7462a5400043bb9a69a41d06b76"
WINOGRANDE_COMMIT = "01e74176c63542e6b0bcb004dcdea22d94fb67b5"
CSQA_COMMIT = "94630fe30dad47192a8546eb75f094926d47e155"
RACE_COMMIT = "2fec9fd81f1dc971569a9b729c43f2f0e6436637"


@dataclass(frozen=True)
class ZeroShotParams(LanguageModelParams):
    """Also: score: `acc`, or `acc_norm` of nats a character; both are in a cell's log. `test` is JSON lines."""

    score: Literal["acc", "acc_norm"] = "acc"


class ZeroShot(PretrainedLanguageModel):
    """form: the function of `questions` that makes questions of the dataset's rows."""

    metric = "accuracy"
    unit = "fraction"
    higher_is_better = True
    prediction = "choice"
    params = ZeroShotParams

    def __init__(self, form: str, chance: float, dataset: str, file: str, hub: HubDataset) -> None:
        self.name = self.training = f"zero-shot-{form.replace('_', '-')}"
        self.form = form
        self.chance = chance
        self.dataset = dataset
        self.test = hub
        self.hub = (f"{hub.name}@{hub.revision}", f"allenai/c4@{C4_COMMIT}")
        self.description = f"multiple choice by a pretrained language model's log-likelihoods, {dataset}"
        self.file = file

    def own_file(self, split: str) -> str:
        return self.file if split == "test" else super().own_file(split)

    def hub_dataset(self, split: str) -> HubDataset:
        return self.test if split == "test" else super().hub_dataset(split)

    @hookimpl
    def prepare_data(self, context: TaskContext) -> Mapping[str, Sequence[Any]]:
        from smc_tasks.language_modeling.reading import calibration, questions

        return {"train": calibration(self, context, "\n\n"), "test": questions(self, context, self.form)}

    @hookimpl
    def collate(self, examples: list[Any]) -> dict[str, torch.Tensor]:
        from smc_tasks.language_modeling import choices, windows

        return windows.collate(examples) if isinstance(examples[0], windows.Window) else choices.collate(examples)

    @hookimpl
    def compute_loss(self, model: torch.nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        from smc_tasks.language_modeling.windows import loss

        return loss(model, batch)

    @hookimpl
    def evaluate(self, model: torch.nn.Module, split: str, context: TaskContext) -> Outcomes:
        from smc_tasks.language_modeling.choices import evaluate

        params: ZeroShotParams = context.params
        return evaluate(model, split, context, params.score, params.evaluation_batch)


boolq = ZeroShot(
    *("boolq", 1 / 2, "BoolQ", "boolq/val.jsonl"),
    HubDataset("aps/super_glue", "boolq", SUPER_GLUE_COMMIT, "validation"),
)
piqa = ZeroShot(*("piqa", 1 / 2, "PIQA", "piqa/valid.jsonl"), HubDataset("baber/piqa", None, PIQA_COMMIT, "validation"))
arc_easy = ZeroShot(
    *("arc_easy", 1 / 4, "ARC-Easy", "arc/ARC-Easy-Test.jsonl"),
    HubDataset("allenai/ai2_arc", "ARC-Easy", ARC_COMMIT, "test"),
)
arc_challenge = ZeroShot(
    *("arc_challenge", 1 / 4, "ARC-Challenge", "arc/ARC-Challenge-Test.jsonl"),
    HubDataset("allenai/ai2_arc", "ARC-Challenge", ARC_COMMIT, "test"),
)
hellaswag = ZeroShot(
    *("hellaswag", 1 / 4, "HellaSwag", "hellaswag/val.jsonl"),
    HubDataset("Rowan/hellaswag", None, HELLASWAG_COMMIT, "validation"),
)
winogrande = ZeroShot(
    *("winogrande", 1 / 2, "WinoGrande", "winogrande_1.1/dev.jsonl"),
    HubDataset("allenai/winogrande", "winogrande_xl", WINOGRANDE_COMMIT, "validation"),
)
commonsense_qa = ZeroShot(
    *("commonsense_qa", 1 / 5, "CommonsenseQA", "commonsense_qa/dev_rand_split.jsonl"),
    HubDataset("tau/commonsense_qa", None, CSQA_COMMIT, "validation"),
)
race = ZeroShot(
    *("race", 1 / 4, "RACE, high school", "race/high_test.jsonl"), HubDataset("ehovy/race", "high", RACE_COMMIT, "test")
)

plugins = (boolq, piqa, arc_easy, arc_challenge, hellaswag, winogrande, commonsense_qa, race)
