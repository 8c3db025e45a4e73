"""A transformer with a head that scores each choice of a question. Imports torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from smc_harness import Outcomes
from smc_tasks._classification import most_probable
from smc_tasks._minis import require_finite
from smc_tasks._pretrained import checkpointed, load
from smc_tasks.commonsense.questions import Question

if TYPE_CHECKING:
    from smc_harness import TaskContext


def build(context: TaskContext) -> nn.Module:
    """The checkpoint's encoder under a fresh head: first token -> linear, tanh -> linear.

    The head is initialised as torch initialises linear layers, U(-1/sqrt(hidden), 1/sqrt(hidden)), as fairseq's is.
    Where nothing is to be trained it is the checkpoint's own. Raises UsageError for one that has none.
    """
    from transformers import AutoModelForMultipleChoice

    trained = context.params.steps != 0
    fresh = ("classifier.*", "*pooler.*") if trained else ()
    model: Any = load(AutoModelForMultipleChoice, context, fresh=fresh, classifier_dropout=0.0)
    for name, module in model.named_modules():
        if trained and isinstance(module, nn.Linear) and (name == "classifier" or ".pooler." in name):
            module.reset_parameters()
    built: nn.Module = checkpointed(model, context)
    return built


def collate(questions: Sequence[Question]) -> dict[str, Tensor]:
    """input_ids, attention_mask [questions, choices, tokens] and labels [questions]; padded on the right.

    A question with fewer choices than others of the batch gets empty ones, masked by `absent` [questions, choices].
    """
    width = max(len(question.choices) for question in questions)
    flat = [torch.tensor(ids) for question in questions for ids in _filled(question, width)]
    ids = pad_sequence(flat, batch_first=True, padding_value=questions[0].padding)
    lengths = torch.tensor([len(row) for row in flat])
    mask = (torch.arange(ids.shape[1]) < lengths.unsqueeze(1)).long()
    counts = torch.tensor([len(question.choices) for question in questions])
    return {
        "input_ids": ids.view(len(questions), width, -1),
        "attention_mask": mask.view(len(questions), width, -1),
        "labels": torch.tensor([question.label for question in questions]),
        "absent": torch.arange(width) >= counts.unsqueeze(1),
    }


def _filled(question: Question, width: int) -> list[tuple[int, ...]]:
    return [*question.choices, *[question.choices[0][:1]] * (width - len(question.choices))]


def scores(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    """Logits of the choices [questions, choices]; -inf where there is none."""
    logits: Tensor = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    return require_finite(logits).masked_fill(batch["absent"], float("-inf"))


def loss(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    """Cross-entropy over the choices, mean over the questions."""
    return nn.functional.cross_entropy(scores(model, batch), batch["labels"])


def evaluate(model: nn.Module, split: str, context: TaskContext) -> Outcomes:
    """1.0 for each question whose most probable choice is the right one, else 0.0."""
    return most_probable(context, split, lambda batch: scores(model, batch), tokens)


def tokens(question: Question) -> int:
    """Tokens of a question's inputs, each as long as the longest."""
    return len(question.choices) * max(len(ids) for ids in question.choices)
