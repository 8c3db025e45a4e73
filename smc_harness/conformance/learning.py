"""Checks of how a task's model learns: its loss, what the loss depends on, and its recipe."""

from __future__ import annotations

import math
from dataclasses import replace

import torch

from smc_harness.conformance.check import Check, Fault, NotApplicableError
from smc_harness.conformance.task_subject import TaskSubject
from smc_harness.declarations.recipe import Recipe
from smc_harness.sparsity import scope
from smc_harness.training.trainer import Training

_CLOSE = 1e-3
"""Relative difference that sums in another order may make in float32."""

_LEARNING = 30
"""Steps on one batch, after which the loss must be lower."""


def loss(subject: TaskSubject) -> None:
    """Its loss is a finite scalar with a gradient."""
    _, built = subject.built
    found = subject.loss(built, subject.examples(4))
    if found.dim() or not bool(torch.isfinite(found)):
        raise Fault(f"compute_loss gives {found.detach()}; a finite scalar would work")
    if found.grad_fn is None:
        raise Fault("compute_loss gives a tensor without a graph; without detach() or no_grad() it would work")


def mean_loss(subject: TaskSubject) -> None:
    """The loss of a batch is the mean over its examples, so that batches of other sizes weigh them alike."""
    _, built = subject.built
    examples = subject.examples(4)
    with torch.no_grad():
        whole = float(subject.loss(built, examples))
        parts = [float(subject.loss(built, [example])) for example in examples]
    mean = math.fsum(parts) / len(parts)
    if not math.isclose(whole, mean, rel_tol=_CLOSE, abs_tol=_CLOSE):
        raise Fault(
            f"the loss of {len(examples)} examples is {whole:.6g}, the mean of theirs {mean:.6g}; a mean over the "
            "examples, each of them first reduced to one number, would work"
        )


def prunable(subject: TaskSubject) -> None:
    """Every preset of its scope names parameters of the model, a tied one once, and the loss depends on all of them."""
    talk, built = subject.built
    presets = talk.hook.prunable(model=built, context=talk.task)
    if scope.DEFAULT_SCOPE not in presets:
        raise Fault(
            f"prunable has {', '.join(presets)}; {scope.DEFAULT_SCOPE!r}, the preset used by default, would work"
        )
    parameters = dict(built.named_parameters())
    for preset in presets:
        for name in scope.resolve(presets, preset, built, subject.name):
            if name not in subject.reached and parameters[name].numel():
                raise Fault(
                    f"scope {preset!r} has {name!r}, on which the loss does not depend; without it, it would work"
                )


def recipe(subject: TaskSubject) -> None:
    """Its recipe trains every unfrozen parameter that the loss depends on, at finite rates, and sees every example."""
    talk, _ = subject.built
    for retraining in (False, True):
        found = talk.recipe(retraining)
        if found.steps:
            _all_trained(subject, found)
        for step in {0, found.steps // 2, max(0, found.steps - 1)} if found.schedule and found.steps else ():
            if not math.isfinite(factor := found.schedule(step, found.steps)) or factor < 0:  # type: ignore[misc]
                raise Fault(
                    f"the schedule gives {factor} at step {step} of {found.steps}; a factor from 0 on would work"
                )
        if found.batch_order is not None:
            count = len(talk.data["train"])
            order = [
                i for some in found.batch_order(count, found.batch_size, torch.Generator().manual_seed(0)) for i in some
            ]
            if sorted(order) != list(range(count)):
                raise Fault(f"batch_order gives {len(order)} places for {count} examples; each of them once would work")


def _all_trained(subject: TaskSubject, recipe: Recipe) -> None:
    _, built = subject.built
    if recipe.parameter_groups is None:
        return  # every parameter that requires a gradient
    optimizer = recipe.optimizer(recipe.parameter_groups(built))
    trained = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    for name, parameter in built.named_parameters():
        if name in subject.reached and parameter.requires_grad and id(parameter) not in trained:
            raise Fault(
                f"no group of the recipe has {name!r}, on which the loss depends; a group with it, or "
                "requires_grad_(False) in prepare_model, would work"
            )


def learns(subject: TaskSubject) -> None:
    """Some steps on one batch lower its loss, as the harness takes them: clipped, and at the rates of the schedule."""
    talk = subject.talk()
    built, found = talk.build_model().eval(), talk.recipe(False)
    if not found.steps:
        raise NotApplicableError("its recipe trains nothing")
    examples = subject.examples(min(found.batch_size, 16))
    first = float(subject.loss(built, examples).detach())
    training = Training(
        talk,
        built,
        _on_one_batch(found, len(examples)),
        turn=0,
        mask=None,
        schedule=None,
        prune_to=lambda level: {},
        follow_mask=False,
        progress=lambda step, of: None,
    )
    training.run(0.0, 1.0)
    last = float(subject.loss(built, examples).detach())
    if not last < first:
        raise Fault(f"after {_LEARNING} steps on one batch its loss is {last:.4g}; it was {first:.4g}")


def _on_one_batch(recipe: Recipe, size: int) -> Recipe:
    """A few steps on the first examples, through all of the schedule."""
    schedule = recipe.schedule
    return replace(
        recipe,
        steps=_LEARNING,
        schedule=schedule and (lambda step, total: schedule(step * recipe.steps // total, recipe.steps)),
        batch_order=lambda count, batch_size, draw: [list(range(size))],
        selection=None,
    )


CHECKS = (
    Check("loss", loss, ("batch", "model")),
    Check("mean-loss", mean_loss, ("loss",)),
    Check("prunable", prunable, ("loss",)),
    Check("recipe", recipe, ("prunable",)),
    Check("learns", learns, ("recipe",)),
)
