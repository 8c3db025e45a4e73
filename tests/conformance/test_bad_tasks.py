"""Each planted fault of a task is named by the check that is about it, and by none that is about something else."""

from __future__ import annotations

import re

import pytest

from smc_harness.conformance.examine import examination
from smc_harness.conformance.find import find
from smc_harness.testing import Checked, Outcome, check_task
from tests.conformance import bad_tasks as bad
from tests.conformance import good_tasks as good

FAULTS = [
    (bad.NoMetric, {"judged-by"}, "it has no metric"),
    (bad.DrawsElsewhere, {"same-data"}, "prepare_data gives other train examples each time, such as number 0"),
    (bad.OtherOrder, {"same-data"}, "prepare_data gives other train examples each time, such as number [12345678];"),
    (bad.OtherNumber, {"data"}, r"prepare_data gives 120 train, \d+ test, and the next time 120 train, \d+ test"),
    (bad.BreaksWhilePreparing, {"data"}, r"KeyError: 'train.csv' \(bad_tasks.py, line \d+\)"),
    (bad.BreaksWhileCollating, {"batch"}, r"KeyError: 'x' \(bad_tasks.py, line \d+\)"),
    (bad.TrainsOnTest, {"leak"}, "of 80 test examples, 80 are in train"),
    (bad.UsesNetwork, {"network"}, "it asks the network for 127.0.0.1:9"),
    (bad.FetchesData, {"network"}, "it asks the network for 127.0.0.1:9"),
    (bad.NeedsNetwork, {"network"}, "it asks the network for 127.0.0.1:9"),
    (bad.WritesFile, {"working-directory"}, "it writes 'predictions.txt' into the working directory"),
    (bad.WritesData, {"working-directory"}, "it writes 'examples.txt' into the working directory"),
    (bad.OtherWeights, {"model"}, "prepare_model gives another '0.weight' for the same seed"),
    (bad.DetachedLoss, {"loss"}, "compute_loss gives a tensor without a graph"),
    (bad.SummedLoss, {"mean-loss"}, r"the loss of 4 examples is [\d.]+, the mean of theirs [\d.]+; .* would work"),
    (bad.Unused, {"prunable"}, "scope 'paper' has '0.unused.weight', on which the loss does not depend"),
    (bad.NotTrained, {"recipe"}, "no group of the recipe has '2.weight', on which the loss depends"),
    (bad.BiasesNotTrained, {"recipe"}, "no group of the recipe has '0.bias', on which the loss depends"),
    (bad.LosesExamples, {"recipe"}, "batch_order gives 112 places for 120 examples"),
    (bad.DoesNotLearn, {"learns"}, "after 30 steps on one batch its loss is"),
    (bad.Diverges, {"learns", "run"}, "the training loss is (nan|inf) at step"),
    (bad.OneIdForAll, {"evaluation"}, "evaluate gives two examples one id"),
    (bad.DrawnAnswers, {"evaluation"}, "evaluate gives other outcomes the second time"),
    (bad.AsksNoModel, {"sensitivity"}, "evaluate calls no module of the model"),
    (bad.NeverRight, {"sensitivity"}, "evaluate calls no module of the model"),
    (bad.ComparesLabels, {"sensitivity"}, r"evaluate gives 9 models of other weights the same outcomes \(1\)"),
    (bad.ShowsNoNumber, {"resampling"}, "aggregate gives 'half of them' for half of the outcomes"),
    (bad.WholeOnly, {"resampling"}, "aggregate gives nan for half of the outcomes"),
    (bad.KnowsItsProcess, {"workers"}, "in a worker process a short run gives"),
]


@pytest.mark.parametrize(("task", "checks", "sentence"), FAULTS, ids=lambda item: getattr(item, "name", ""))
def test_a_fault_is_named(task: type, checks: set[str], sentence: str) -> None:
    report = check_task(task)
    failed = {result.check: result.reason for result in report.results if result.outcome is Outcome.FAILED}
    assert failed.keys() == checks, str(report)
    assert any(re.search(sentence, reason) for reason in failed.values()), str(report)


GOOD = [
    good.Good,
    good.Frozen,
    good.Clipped,
    good.Slotted,
    good.LooksLikeAnAddress,
    good.Masked,
    good.Boxed,
    good.OwnNumber,
    good.SomeInBoth,
]


@pytest.mark.parametrize("task", GOOD, ids=lambda task: task.name)
def test_one_without_a_fault_conforms(task: type) -> None:
    report = check_task(task)
    assert report.ok, str(report)
    skipped = {result.check for result in report.results if result.outcome is Outcome.SKIPPED}
    assert skipped == {"parameters", "light"}


def settled(task: type, check: str) -> Checked:
    """What comes of one check, made after those that it needs."""
    (locator,) = find(task)
    return examination(locator).settle(check)


def test_of_a_metric_that_no_untrained_model_moves_nothing_is_said() -> None:
    found = settled(good.Exacting, "sensitivity")
    assert found.outcome is Outcome.SKIPPED
    assert found.reason == "9 untrained models of other weights are all at 0 in every example"


def test_outcomes_that_other_weights_make_nan_follow_from_the_weights() -> None:
    assert settled(good.Rooted, "sensitivity").outcome is Outcome.PASSED


def test_how_many_test_examples_are_in_train_is_told() -> None:
    found = settled(good.SomeInBoth, "leak")
    assert found.figures == {"test examples in train": 40, "test examples looked for": 80}


def test_of_batches_that_cannot_be_compared_nothing_is_said() -> None:
    found = settled(good.Locked, "leak")
    assert (found.outcome, found.reason) == (
        Outcome.SKIPPED,
        "a batch holds a function, which pickle cannot read",
    )


def test_data_are_watched_though_this_process_has_prepared_them_before() -> None:
    found = [settled(bad.FetchesData, "network") for _ in range(2)]
    assert [one.outcome for one in found] == [Outcome.FAILED, Outcome.FAILED]
