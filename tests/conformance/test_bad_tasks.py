"""Each planted fault of a task is named by the check that is about it, and by none that is about something else."""

from __future__ import annotations

import re

import pytest

from smc_harness.testing import Outcome, check_task
from tests.conformance import bad_tasks as bad

FAULTS = [
    (bad.NoMetric, {"judged-by"}, "it has no metric"),
    (bad.DrawsElsewhere, {"data"}, "prepare_data gives other train examples each time"),
    (bad.UsesNetwork, {"network"}, "it asks the network for 127.0.0.1:9"),
    (bad.WritesFile, {"working-directory"}, "it writes 'predictions.txt' into the working directory"),
    (bad.OtherWeights, {"model"}, "prepare_model gives another '0.weight' for the same seed"),
    (bad.DetachedLoss, {"loss"}, "compute_loss gives a tensor without a graph"),
    (bad.SummedLoss, {"mean-loss"}, r"the loss of 4 examples is [\d.]+, the mean of theirs [\d.]+"),
    (bad.Unused, {"prunable"}, "scope 'paper' has '0.unused.weight', on which the loss does not depend"),
    (bad.NotTrained, {"recipe"}, "no group of the recipe has '2.weight', which is pruned"),
    (bad.LosesExamples, {"recipe"}, "batch_order gives 112 places for 120 examples"),
    (bad.DoesNotLearn, {"learns"}, "after 30 steps on one batch its loss is"),
    (bad.OneIdForAll, {"evaluation"}, "evaluate gives two examples one id"),
    (bad.DrawnAnswers, {"evaluation"}, "evaluate gives other outcomes the second time"),
    (bad.WholeOnly, {"resampling"}, "aggregate gives nan for half of the outcomes"),
    (bad.KnowsItsProcess, {"workers"}, "in a worker process a short run gives"),
]


@pytest.mark.parametrize(("task", "checks", "sentence"), FAULTS, ids=lambda item: getattr(item, "name", ""))
def test_a_fault_is_named(task: type, checks: set[str], sentence: str) -> None:
    report = check_task(task)
    failed = {result.check: result.reason for result in report.results if result.outcome is Outcome.FAILED}
    assert failed.keys() == checks, str(report)
    assert any(re.search(sentence, reason) for reason in failed.values()), str(report)


def test_the_one_without_a_fault_conforms() -> None:
    report = check_task(bad.Good)
    assert report.ok, str(report)
    skipped = {result.check for result in report.results if result.outcome is Outcome.SKIPPED}
    assert skipped == {"parameters", "light"}
