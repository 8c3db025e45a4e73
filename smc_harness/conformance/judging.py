"""Checks of how a task judges a model: outcome by outcome, and by its metric."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.nn.modules import module as modules

from smc_harness.conformance.check import Check, Fault, NotApplicableError
from smc_harness.conformance.observing import View, changes
from smc_harness.conformance.task_subject import TaskSubject
from smc_harness.errors import PluginError

_OTHERS = 8
"""Models with other weights that are judged at most."""


def judged_by(subject: TaskSubject) -> None:
    """It says by what it is judged: a metric, its unit, and a score that guessing would have."""
    plugin = subject.plugin
    if not plugin.declared("metric"):
        raise Fault("it has no metric; metric = 'accuracy' would work")
    unit = plugin.declared("unit")
    if not isinstance(unit, str) or not unit:
        raise Fault(f"unit is {unit!r}; 'fraction', or another unit of the metric, would work")
    chance = plugin.declared("chance")
    if not isinstance(chance, int | float) or not math.isfinite(chance):
        raise Fault(f"chance is {chance!r}; the score of a guess, such as 0.5, would work")


def evaluation(subject: TaskSubject) -> None:
    """It gives one outcome an example, the same each time, of names that differ, and leaves the model as it was."""
    talk, built = subject.built
    before = View.of(built)
    outcomes, value = talk.evaluate(built, "test")
    again, _ = talk.evaluate(built, "test")
    for _, sentence in changes(before, View.of(built), "evaluate", weights=True):
        raise Fault(sentence)
    if not math.isfinite(value):
        raise Fault(f"its metric is {value} on an untrained model; a finite number would work")
    if not torch.equal(outcomes.values, again.values):
        raise Fault("evaluate gives other outcomes the second time; drawing nothing would work")
    if outcomes.ids is not None and len(set(outcomes.ids)) < len(outcomes):
        raise Fault("evaluate gives two examples one id; ids that differ would work")


def sensitivity(subject: TaskSubject) -> None:
    """Its outcomes follow from the weights: those of models with other weights differ."""
    talk, built = subject.built
    with _calls(built) as called:
        outcomes, value = talk.evaluate(built, "test")
    for seed in range(_OTHERS):
        try:
            found, _ = talk.evaluate(_other(subject, seed), "test")
        except PluginError:  # NaN is another outcome, too
            return
        if not torch.equal(found.values, outcomes.values):
            return
    if not called:
        raise Fault("evaluate calls no module of the model; outcomes of what the model gives would work")
    better = value - subject.plugin.declared("chance")
    if subject.plugin.declared("higher_is_better", True) is False:
        better = -better
    if better > 0 or not torch.equal(outcomes.values, outcomes.values[:1].expand_as(outcomes.values)):
        raise Fault(
            f"evaluate gives {_OTHERS + 1} models of other weights the same outcomes ({value:.4g}); outcomes of what "
            "the model gives would work"
        )
    # an exact match, say, of which no untrained model has one
    raise NotApplicableError(f"{_OTHERS + 1} untrained models of other weights are all at {value:.4g} in every example")


def resampling(subject: TaskSubject) -> None:
    """Its metric can be taken of any of the outcomes, as statistics do."""
    talk, built = subject.built
    outcomes, _ = talk.evaluate(built, "test")
    places = list(range(0, len(outcomes), 2))
    half = replace(
        outcomes,
        values=outcomes.values[places],
        ids=[outcomes.ids[i] for i in places] if outcomes.ids is not None else None,
        groups=[outcomes.groups[i] for i in places] if outcomes.groups is not None else None,
        predictions=outcomes.predictions[places] if outcomes.predictions is not None else None,
    )
    found = talk.hook.aggregate(outcomes=half, context=talk.task)
    if not math.isfinite(_number(found)):
        raise Fault(f"aggregate gives {found!r} for half of the outcomes; a finite number would work")


def _number(found: Any) -> float:
    """As the harness reads a metric; NaN for what it cannot."""
    try:
        return float(found)
    except (TypeError, ValueError, RuntimeError):
        return math.nan


@torch.no_grad()
def _other(subject: TaskSubject, seed: int) -> nn.Module:
    """The model with its weights dealt out anew within each tensor, and some noise, since a tensor may be constant."""
    model, draw = subject.talk().build_model().eval(), torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        if parameter.is_floating_point():
            dealt = parameter.reshape(-1)[torch.randperm(parameter.numel(), generator=draw)].view_as(parameter)
            parameter.copy_(dealt + 0.1 * torch.randn(parameter.shape, generator=draw))
    return model


@contextmanager
def _calls(model: nn.Module) -> Iterator[list[str]]:
    """Modules of the model that are called, by the names of their classes."""
    own, called = set(model.modules()), list[str]()

    def note(module: nn.Module, inputs: Any) -> None:
        if module in own:
            called.append(type(module).__name__)

    handle = modules.register_module_forward_pre_hook(note)
    try:
        yield called
    finally:
        handle.remove()


JUDGED_BY = Check("judged-by", judged_by, ("declaration",))
CHECKS = (
    Check("evaluation", evaluation, ("batch", "model")),
    Check("sensitivity", sensitivity, ("evaluation",)),
    Check("resampling", resampling, ("evaluation",)),
)
