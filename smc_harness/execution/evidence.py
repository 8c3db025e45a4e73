"""Evidence from the outcomes that are kept in the store. Torch is imported only for a metric that is no mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy

from smc_harness.cells import Measurement
from smc_harness.conversation.context import TaskContext
from smc_harness.conversation.relay import implements, relay
from smc_harness.discovery.loading import Plugin
from smc_harness.store import per_example
from smc_harness.store.artifacts import Artifacts
from smc_harness.verdict.evidence import Aggregate, Answers, Evidence, compare
from smc_harness.verdict.spread import Floats


def scores(task: Plugin, own: Measurement, dense: Measurement) -> Evidence:
    """A measurement beside that of its dense model."""
    return Evidence(own.value, dense.value, own.n, bool(task.declared("higher_is_better", True)))


def gather(task: Plugin, artifacts: Artifacts, own: Measurement, dense: Measurement, seed: int = 0) -> Evidence:
    """The same with their outcomes, as far as the store has them. seed: of both."""
    plain = scores(task, own, dense)
    theirs = answers_of(artifacts, dense.outcomes)
    ours = None if theirs is None else answers_of(artifacts, own.outcomes)
    if theirs is None or ours is None:
        return plain
    compared = compare(ours, theirs, aggregate_of(task), seed % task.folds)
    return replace(plain, compared=() if compared is None else (compared,))


def is_mean(task: Plugin) -> bool:
    """Whether the metric is the mean of the outcomes; another one has to be computed again for every resample."""
    return not implements(task, "aggregate")


def answers_of(artifacts: Artifacts, key: str | None) -> Answers | None:
    """The outcomes that are kept under a key; None where there are none."""
    found = artifacts.read(key) if key else None
    if found is None:
        return None
    tensors, note = found
    names = per_example.names(artifacts, note)
    if names is None:
        return None
    values = numpy.asarray(tensors["values"], dtype=numpy.float64)
    ids = names["ids"] or [str(number) for number in range(len(values))]
    return Answers(values.reshape(len(values), -1), ids, names["groups"] or ids)


def aggregate_of(task: Plugin) -> Aggregate | None:
    """The task's own metric; None where it is the mean."""
    if not implements(task, "aggregate"):
        return None
    hook = relay(task, None)
    context = TaskContext(
        name=task.name, params=task.params, seed=0, session_seed=0, training=task.training, conversation=None
    )

    def metric(values: Floats, groups: Sequence[str]) -> float:
        import torch

        from smc_harness.declarations.outcomes import Outcomes

        outcomes = Outcomes(torch.from_numpy(values), groups=groups)
        return float(hook.aggregate(outcomes=outcomes, context=context))

    return metric
