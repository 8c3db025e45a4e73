"""Checks of a pruner at work: whole plans, in any order, after a kill, in other processes, at size."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from smc_harness.cells import Measurement, show_level
from smc_harness.conformance import device
from smc_harness.conformance.check import Check, Fault, NotApplicableError
from smc_harness.conformance.cost import cost_of
from smc_harness.conformance.masks import wanted_count
from smc_harness.conformance.subject import PrunerSubject
from smc_harness.conformance.workers import measured_by_worker
from smc_harness.declarations.structure import Block
from smc_harness.lifecycle.checkpoints import Checkpoints

_NEAR = 0.01
"""A rung that stands for a level is as near as that to it."""

SMALL, LARGE = 128, 256
"""Widths at which costs are measured."""


def run(subject: PrunerSubject) -> None:
    """Its plans run from start weights to evaluation, and end at the level, with every pruned weight at zero."""
    if subject.overheard.error is not None:
        raise subject.overheard.error
    talk, model = subject.talk()
    total = sum(parameter.numel() for _, parameter in talk.prunable(model))
    for level, measured in subject.undisturbed.items():
        exact = wanted_count(subject, talk, model, level) / total
        tiles = isinstance(subject.plugin.structure.pattern, Block)
        if abs(measured.realised - exact) > _NEAR and not (tiles and measured.realised < exact):
            raise Fault(
                f"asked for {show_level(level)}, it ends at {measured.realised:.4f} and not {exact:.4f}; a mask that "
                "keeps its count through training would work"
            )


def order(subject: PrunerSubject) -> None:
    """A level's result does not depend on which other levels were measured before it."""
    levels, alone = list(subject.undisturbed), subject.overheard.measured
    if alone is not None and subject.level() in subject.undisturbed:
        _compare(
            subject.undisturbed, {subject.level(): alone}, "measured alone", "keeping nothing outside context.state"
        )
    if len(levels) < 2:
        raise NotApplicableError("it has one level")
    with subject.trajectory(levels) as trajectory:
        again = {level: trajectory.measure(level) for level in reversed(levels)}
    _compare(
        subject.undisturbed, again, "measured from the highest level down", "keeping nothing outside context.state"
    )


def resume(subject: PrunerSubject) -> None:
    """A run that is killed in mid-training goes on in another process, and ends with the same result."""
    with tempfile.TemporaryDirectory() as folder:
        store, level = Path(folder), list(subject.undisturbed)[-1]
        _kill(subject, level, store)
        again = _in_workers(subject, (level,), store)
    _compare(subject.undisturbed, again, "killed and resumed", "tensors in context.state")


def workers(subject: PrunerSubject) -> None:
    """Another process, which loads it by its place and hashes texts in another way, gets the same results."""
    with tempfile.TemporaryDirectory() as folder:
        again = _in_workers(subject, tuple(subject.undisturbed), Path(folder))
    _compare(subject.undisturbed, again, "computed in a worker process", "nothing that differs between processes")
    other = subject.apart.here  # all workers hash alike, and so does this process where PYTHONHASHSEED is set
    if other and (name := device.differing(subject.mask(*subject.talk(), subject.level()), other)):
        raise Fault(
            f"where Python hashes texts in another way, it chooses other weights of {name!r}; a seed from "
            "context.seed_for(), which depends on no hash() and on no order of a set, would work"
        )


def cost(subject: PrunerSubject) -> Mapping[str, float]:
    """Time and memory of a pruning are measured, and its memory does not grow faster than the model."""
    found = {}
    for width in (SMALL, LARGE):
        talk, model = subject.talk(width=width)
        count = sum(parameter.numel() for _, parameter in talk.prunable(model))
        found[count] = cost_of(lambda t=talk, m=model: subject.mask(t, m, subject.level()))  # type: ignore[misc]
    (few, small), (many, large) = sorted(found.items())
    if large.memory * few > 2 * small.memory * many:
        raise Fault(
            f"{many / few:.1f} times the weights take {large.memory / max(1, small.memory):.1f} times the memory "
            f"({large.memory / many:.0f} bytes a weight at {many} weights); work tensor by tensor does not grow so"
        )
    return {
        "nanoseconds a weight": 1e9 * large.seconds / many,
        "bytes a weight": large.memory / many,
        "weights": many,
    }


def _compare(expected: Mapping[float, Measurement], found: Mapping[float, Measurement], how: str, remedy: str) -> None:
    for level, again in found.items():
        first = expected[level]
        if (first.value, first.realised, first.densities) != (again.value, again.realised, again.densities):
            raise Fault(
                f"at level {show_level(level)}, {how}, the value is {again.value:.6g} and not {first.value:.6g}, or "
                f"the densities differ; {remedy} would work"
            )


class _Killed(BaseException):
    """Passes every `except Exception`, as a signal would."""


def _kill(subject: PrunerSubject, level: float, store: Path) -> None:
    """Run a level up to the middle of its last training, with checkpoints as often as there are epochs."""
    trainings: list[str] = []

    def progress(what: str, step: int, of: int) -> None:
        if "train" in what and step == 0:
            trainings.append(what)
        if "train" in what and step >= of // 2 and len(trainings) == wanted:
            raise _Killed

    wanted = sum(type(stage).__name__ == "Train" for stage in subject.plan(level))
    if not wanted:
        raise NotApplicableError("its plan has no training")
    with _often(), subject.trajectory((level,), store=store / "artifacts") as trajectory:
        trajectory.progress = progress
        try:
            trajectory.measure(level)
        except _Killed:
            return
    raise NotApplicableError("its plan has no training that could be interrupted")


@contextmanager
def _often() -> Iterator[None]:
    """A checkpoint at the end of every epoch."""
    due = Checkpoints.due
    Checkpoints.due = property(lambda _: True)  # type: ignore[assignment, method-assign]
    try:
        yield
    finally:
        Checkpoints.due = due  # type: ignore[method-assign]


def _in_workers(subject: PrunerSubject, levels: tuple[float, ...], store: Path) -> dict[float, Measurement]:
    return measured_by_worker(subject.task(), subject.plugin, [], subject.options, levels, store)


CHECKS = (
    Check("run", run, ("mask",)),
    Check("order", order, ("run",)),
    Check("resume", resume, ("run",)),
    Check("workers", workers, ("run",)),
    device.CHECK,
    Check("cost", cost, ("mask",)),
)
