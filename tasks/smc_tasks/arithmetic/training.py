"""How GTS is trained on real word problems."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from smc_harness import LinearWarmup, Recipe, Selection, StepDecay
from smc_tasks.arithmetic.word_problems import Settings

if TYPE_CHECKING:
    from smc_harness import TaskContext
    from smc_tasks.arithmetic.problems import Example

POOL = 8
"""Batches whose problems are sorted by length together."""


def word_problem_recipe(settings: Settings, selection: str, context: TaskContext) -> Recipe:
    """Adam with an L2 penalty; selection after every epoch, on `valid` or, as published, on `test`."""
    per_epoch = math.ceil(len(context.data["train"]) / settings.batch)
    schedule: LinearWarmup | StepDecay = LinearWarmup(0.02)
    if settings.halve_every is not None:
        schedule = StepDecay(every=settings.halve_every * per_epoch, factor=0.5)
    return Recipe(
        steps=settings.epochs * per_epoch,
        batch_size=settings.batch,
        optimizer=partial(_adam, learning_rate=settings.learning_rate),
        parameter_groups=partial(_groups, settings.encoder_learning_rate) if context.pretrained else None,
        schedule=schedule,
        selection=Selection("test" if selection == "paper" else "valid", every=per_epoch),
        batch_order=partial(_similar_lengths, context),
    )


def bucketed(lengths: Sequence[int], batch_size: int, generator: torch.Generator) -> Iterable[list[int]]:
    """One epoch of shuffled batches of similar length: shuffle, sort within pools of batches, shuffle the batches.

    Little padding is left, and which problems meet still changes from epoch to epoch.
    """
    order = torch.randperm(len(lengths), generator=generator).tolist()
    width = POOL * batch_size
    batches: list[list[int]] = []
    for start in range(0, len(order), width):
        pool = sorted(order[start : start + width], key=lambda index: lengths[index])
        batches.extend(pool[first : first + batch_size] for first in range(0, len(pool), batch_size))
    for index in torch.randperm(len(batches), generator=generator).tolist():
        yield batches[index]


def _similar_lengths(
    context: TaskContext, n_examples: int, batch_size: int, generator: torch.Generator
) -> Iterable[list[int]]:
    # Looked up only now: between the recipe and the training, examples may be carved out for validation.
    examples: Sequence[Example] = context.data["train"]
    if len(examples) != n_examples:
        raise ValueError(f"asked to order {n_examples} examples, but the training split has {len(examples)}")
    return bucketed([len(example.tokens) for example in examples], batch_size, generator)


def _groups(encoder_learning_rate: float, model: torch.nn.Module) -> list[dict[str, Any]]:
    """A pretrained encoder learns at a rate of its own."""
    parts: tuple[list[torch.nn.Parameter], list[torch.nn.Parameter]] = ([], [])
    for name, parameter in model.named_parameters():
        parts[name.startswith("encoder.words.")].append(parameter)
    return [{"params": parts[0]}, {"params": parts[1], "lr": encoder_learning_rate}]


def _adam(groups: list[dict[str, Any]], learning_rate: float) -> torch.optim.Optimizer:
    return torch.optim.Adam(groups, lr=learning_rate, weight_decay=1e-5, fused=True)
