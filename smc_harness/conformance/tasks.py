"""Checks of a task: what it leaves alone, its model, a short run with a pruner of the kit's own; and all in order."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch

from smc_harness.conformance import judging, learning, splits
from smc_harness.conformance.check import Check, Fault, NotApplicableError, NotReadyError
from smc_harness.conformance.task_subject import TaskSubject
from smc_harness.conformance.workers import measured_by_worker
from smc_harness.errors import UsageError


def network(subject: TaskSubject) -> None:
    """It asks nothing of the network: data and weights are declared by data_files and pretrained."""
    try:
        seen = subject.watched.seen
    except UsageError as error:  # files or checkpoints that are not here
        raise NotReadyError(str(error)) from error
    if seen.connections:
        raise Fault(f"it asks the network for {seen.connections[0]}; a declared file, or `pretrained`, would work")
    if seen.programs:
        raise NotApplicableError(f"it starts the program {seen.programs[0]!r}, whose connections are not seen here")


def working_directory(subject: TaskSubject) -> None:
    """It writes nothing into the working directory."""
    seen = subject.watched.seen
    if seen.files:
        raise Fault(f"it writes {seen.files[0]!r} into the working directory; writing nothing would work")


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


def run(subject: TaskSubject) -> None:
    """A short run prunes it by half, trains it under the mask, and evaluates it."""
    if subject.watched.error is not None:
        raise subject.watched.error


def workers(subject: TaskSubject) -> None:
    """A worker process, which loads the task by its place, gets the same result of a short run."""
    expected = subject.watched.measured
    assert expected is not None
    with tempfile.TemporaryDirectory() as folder:
        found = measured_by_worker(
            subject.plugin, subject.magnitude, [subject.shortened], subject.options, (0.5,), Path(folder)
        )
    if found[0.5].value != expected.value or found[0.5].densities != expected.densities:
        raise Fault(
            f"in a worker process a short run gives {found[0.5].value:.6g}, here {expected.value:.6g}; data and "
            "weights that follow from context.generator, and not from the order of a set, would work"
        )


CHECKS = (
    judging.JUDGED_BY,
    Check("network", network, ("declaration",)),
    Check("working-directory", working_directory, ("network",)),
    *splits.CHECKS,
    Check("model", model, ("data",)),
    *learning.CHECKS,
    *judging.CHECKS,
    Check("run", run, ("recipe", "evaluation")),
    Check("workers", workers, ("run", "same-data")),
)
