"""Examples, batches and evaluation of tasks that choose one of a few classes. Imports torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import torch

from smc_harness import Outcomes, TaskContext
from smc_tasks._minis import require_finite


class Example(NamedTuple):
    """One tokenised example.

    id: stable across runs. group: examples of one group are not independent draws.
    input_ids: long tensor, the same shape for all examples of a task, so that nothing needs padding or a mask.
    label: the right class, from 0.
    """

    id: str
    group: str
    input_ids: torch.Tensor
    label: int


def stack(examples: list[Example]) -> dict[str, torch.Tensor]:
    """{"input_ids": long [batch, ...], "labels": long [batch]}."""
    return {
        "input_ids": torch.stack([example.input_ids for example in examples]),
        "labels": torch.tensor([example.label for example in examples]),
    }


def cross_entropy(model: torch.nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Mean cross-entropy over the examples of a batch."""
    logits: torch.Tensor = model(input_ids=batch["input_ids"]).logits
    return torch.nn.functional.cross_entropy(logits, batch["labels"])


def score_classes(model: torch.nn.Module, split: str, context: TaskContext, size: int) -> Outcomes:
    """1.0 for each example whose most probable class is the right one, else 0.0; `size` examples at a time."""
    examples: list[Example] = list(context.data[split])
    predicted = torch.cat(
        [
            require_finite(model(input_ids=batch["input_ids"]).logits).argmax(-1)
            for batch in context.batches(split, size)
        ]
    ).cpu()
    return right_or_wrong(examples, predicted)


def most_probable(
    context: TaskContext, split: str, logits: Callable[[Any], torch.Tensor], length: Callable[[Any], int]
) -> Outcomes:
    """1.0 for each example whose most probable class is the right one, else 0.0.

    logits: from a batch to [batch, classes], without NaN. length: tokens of an example, to batch those of similar
    length.
    """
    size = context.params.evaluation_batch
    found = context.outputs(split, size, lambda batch: logits(batch).argmax(-1).cpu(), length)
    return right_or_wrong(context.data[split], torch.stack(found))


class Labelled(Protocol):
    """What has an id, a group and a right class."""

    @property
    def id(self) -> str: ...
    @property
    def group(self) -> str: ...
    @property
    def label(self) -> int: ...


def right_or_wrong(examples: Sequence[Labelled], predicted: torch.Tensor) -> Outcomes:
    """1.0 for each example whose predicted class, long [n], is the right one, else 0.0."""
    labels = torch.tensor([example.label for example in examples])
    return Outcomes(
        values=(predicted == labels).float(),
        ids=[example.id for example in examples],
        groups=[example.group for example in examples],
        predictions=predicted,
    )
