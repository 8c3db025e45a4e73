"""Checks of a task: its data, its model, its loss, its judgement; and a short run with a pruner of the kit's own."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace as replaced
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from smc_harness.conformance.check import Check, Fault, NotApplicableError, NotReadyError
from smc_harness.conformance.observing import View, changes
from smc_harness.conformance.task_subject import TaskSubject
from smc_harness.conformance.workers import measured_by_worker
from smc_harness.errors import UsageError
from smc_harness.sparsity import scope

_CLOSE = 1e-3
"""Relative difference that sums in another order may make in float32."""

_LEARNING = 30
"""Steps on one batch, after which the loss must be lower."""


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


def data(subject: TaskSubject) -> None:
    """It has train and test examples, the same ones whenever they are asked for."""
    try:
        talk = subject.talk()
    except UsageError as error:  # files or checkpoints that are not here
        raise NotReadyError(str(error)) from error
    with talk.seeded(talk.task, "data"):
        again = talk.hook.prepare_data(context=talk.task)
    for split in ("train", "test"):
        one, two = talk.data[split], again[split]
        if _text(one[0]) != _text(two[0]):
            raise Fault(
                f"prepare_data gives other {split} examples each time; drawing from context.generator would work"
            )


def batch(subject: TaskSubject) -> None:
    """It collates examples into tensors, whatever their number."""
    talk, _ = subject.built
    for count in (1, 3):
        tensors = list(_tensors(talk.collate(list(subject.examples(count)))))
        if not tensors:
            raise Fault("collate gives no tensor; a tensor, or a dict, list or tuple of tensors, would work")


def model(subject: TaskSubject) -> None:
    """Its start weights are float32, and the same for the same seed."""
    _, built = subject.built
    again = subject.talk().build_model()
    for (name, one), two in zip(built.named_parameters(), again.parameters(), strict=True):
        if one.dtype != torch.float32:
            raise Fault(f"prepare_model gives {name!r} as {one.dtype}; torch.float32 would work")
        if not torch.equal(one, two):
            raise Fault(
                f"prepare_model gives another {name!r} for the same seed; drawing from context.generator would work"
            )


def prunable(subject: TaskSubject) -> None:
    """Every preset of its scope names parameters of the model, a tied one once, and the loss depends on all of them."""
    talk, built = subject.built
    presets = talk.hook.prunable(model=built, context=talk.task)
    if scope.DEFAULT_SCOPE not in presets:
        raise Fault(
            f"prunable has {', '.join(presets)}; {scope.DEFAULT_SCOPE!r}, the preset used by default, would work"
        )
    built.zero_grad(set_to_none=True)
    subject.loss(built, subject.examples()).backward()  # type: ignore[no-untyped-call]
    reached = {name for name, parameter in built.named_parameters() if parameter.grad is not None}
    built.zero_grad(set_to_none=True)
    for preset in presets:
        for name in scope.resolve(presets, preset, built, subject.name):
            if name not in reached and dict(built.named_parameters())[name].numel():
                raise Fault(
                    f"scope {preset!r} has {name!r}, on which the loss does not depend; without it, it would work"
                )


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
        raise Fault(f"the loss of {len(examples)} examples is {whole:.6g}, the mean of theirs {mean:.6g}")


def recipe(subject: TaskSubject) -> None:
    """Its recipe trains every parameter that the loss depends on, at finite rates, and sees every example."""
    talk, built = subject.built
    for retraining in (False, True):
        found = talk.recipe(retraining)
        groups = found.parameter_groups(built) if found.parameter_groups else [{"params": list(built.parameters())}]
        optimizer = found.optimizer(groups)
        trained = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
        presets = talk.hook.prunable(model=built, context=talk.task)
        parameters = dict(built.named_parameters())
        for name in scope.resolve(presets, scope.DEFAULT_SCOPE, built, subject.name):
            if parameters[name].requires_grad and id(parameters[name]) not in trained and found.steps:
                raise Fault(f"no group of the recipe has {name!r}, which is pruned; a group with it would work")
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


def learns(subject: TaskSubject) -> None:
    """Some steps on one batch lower its loss."""
    talk = subject.talk()
    built, found = talk.build_model().eval(), talk.recipe(False)
    if not found.steps:
        raise NotApplicableError("its recipe trains nothing")
    examples = subject.examples(min(found.batch_size, 16))
    optimizer = found.optimizer(
        found.parameter_groups(built) if found.parameter_groups else [{"params": list(built.parameters())}]
    )
    first = float(subject.loss(built, examples).detach())
    for _ in range(_LEARNING):
        optimizer.zero_grad(set_to_none=True)
        subject.loss(built, examples).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    last = float(subject.loss(built, examples).detach())
    if not last < first:
        raise Fault(f"after {_LEARNING} steps on one batch its loss is {last:.4g}; it was {first:.4g}")


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


def resampling(subject: TaskSubject) -> None:
    """Its metric can be taken of any of the outcomes, as statistics do."""
    talk, built = subject.built
    outcomes, _ = talk.evaluate(built, "test")
    places = list(range(0, len(outcomes), 2))
    half = replaced(
        outcomes,
        values=outcomes.values[places],
        ids=[outcomes.ids[i] for i in places] if outcomes.ids is not None else None,
        groups=[outcomes.groups[i] for i in places] if outcomes.groups is not None else None,
        predictions=outcomes.predictions[places] if outcomes.predictions is not None else None,
    )
    found = talk.hook.aggregate(outcomes=half, context=talk.task)
    if not isinstance(found, int | float) or not math.isfinite(found):
        raise Fault(f"aggregate gives {found!r} for half of the outcomes; a finite number would work")


def network(subject: TaskSubject) -> None:
    """It asks nothing of the network: data and weights are declared by data_files and pretrained."""
    seen, _ = subject.watched
    if seen.connections:
        raise Fault(f"it asks the network for {seen.connections[0]}; a declared file, or `pretrained`, would work")
    if seen.programs:
        raise NotApplicableError(f"it starts the program {seen.programs[0]!r}, whose connections are not seen here")


def working_directory(subject: TaskSubject) -> None:
    """It writes nothing into the working directory."""
    seen, _ = subject.watched
    if seen.files:
        raise Fault(f"it writes {seen.files[0]!r} into the working directory; writing nothing would work")


def run(subject: TaskSubject) -> None:
    """A short run prunes it by half, trains it under the mask, and evaluates it."""
    _, found = subject.watched
    if isinstance(found, Exception):
        raise found


def workers(subject: TaskSubject) -> None:
    """A worker process, which loads the task by its place, gets the same result of a short run."""
    _, expected = subject.watched
    assert not isinstance(expected, Exception)
    with tempfile.TemporaryDirectory() as folder:
        found = measured_by_worker(
            subject.plugin, subject.magnitude, [subject.shortened], subject.options, (0.5,), Path(folder)
        )
    if found[0.5].value != expected.value or found[0.5].densities != expected.densities:
        raise Fault(
            f"in a worker process a short run gives {found[0.5].value:.6g}, here {expected.value:.6g}; data and "
            "weights that follow from context.generator, and not from the order of a set, would work"
        )


def _tensors(item: Any) -> Iterator[Tensor]:
    if isinstance(item, Tensor):
        yield item
    elif isinstance(item, Mapping):
        for value in item.values():
            yield from _tensors(value)
    elif isinstance(item, list | tuple):
        for value in item:
            yield from _tensors(value)


def _text(example: Any) -> str:
    """An example's content, for comparison; of an object without a text of its own, that of its attributes."""
    if isinstance(example, Tensor):
        return str(example.tolist())
    if isinstance(example, Mapping):
        return str({name: _text(value) for name, value in example.items()})
    if isinstance(example, list | tuple):
        return str([_text(value) for value in example])
    text = repr(example)
    return text if " at 0x" not in text else _text(vars(example))


NETWORK = Check("network", network, ("data",))
CHECKS = (
    Check("judged-by", judged_by, ("declaration",)),
    Check("data", data, ("declaration",)),
    NETWORK,
    Check("working-directory", working_directory, ("network",)),
    Check("batch", batch, ("network",)),
    Check("model", model, ("network",)),
    Check("loss", loss, ("batch", "model")),
    Check("mean-loss", mean_loss, ("loss",)),
    Check("prunable", prunable, ("loss",)),
    Check("recipe", recipe, ("prunable",)),
    Check("learns", learns, ("recipe",)),
    Check("evaluation", evaluation, ("model",)),
    Check("resampling", resampling, ("evaluation",)),
    Check("run", run, ("recipe", "evaluation")),
    Check("workers", workers, ("run",)),
)
