"""Evidence from the outcomes that are kept in the store. Torch is imported only for a metric that is no mean."""

from __future__ import annotations

from collections.abc import Sequence

import numpy

from smc_harness.cells import Measurement
from smc_harness.conversation.context import TaskContext
from smc_harness.conversation.relay import implements, relay
from smc_harness.discovery.loading import Plugin
from smc_harness.store.artifacts import Artifacts
from smc_harness.verdict.evidence import Aggregate, Answers, Evidence, Floats, compare
from smc_harness.verdict.rule import Rule


def gather(rule: Rule, task: Plugin, artifacts: Artifacts, own: Measurement, dense: Measurement) -> Evidence:
    """What the rule needs to compare a measurement with that of its dense model."""
    better = bool(task.declared("higher_is_better", True))
    plain = Evidence(own.value, dense.value, own.n, better)
    if not rule.needs_outcomes:
        return plain
    answers = [answers_of(artifacts, measurement.outcomes) for measurement in (own, dense)]
    if answers[0] is None or answers[1] is None:
        return plain
    chance = compare(answers[0], answers[1], aggregate_of(task))
    return Evidence(own.value, dense.value, own.n, better, chance)


def answers_of(artifacts: Artifacts, key: str | None) -> Answers | None:
    """The outcomes that are kept under a key; None where there are none."""
    found = artifacts.read(key) if key else None
    if found is None:
        return None
    tensors, note = found
    values = numpy.asarray(tensors["values"], dtype=numpy.float64)
    ids = note.get("ids") or [str(number) for number in range(len(values))]
    return Answers(values.reshape(len(values), -1), ids, note.get("groups") or ids)


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
