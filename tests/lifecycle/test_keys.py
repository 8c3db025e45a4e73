"""Which stages share a key, and which must not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from smc_harness import Prune, Rewind, Train, hookimpl
from smc_harness.conversation.options import RunOptions
from smc_harness.conversation.relay import relay
from smc_harness.declarations.plans import cubic, default_plan
from smc_harness.errors import PluginError
from smc_harness.lifecycle import keys
from tests.toys import plugin, pruner_of, toy_task

ONE, OTHER = plugin("pruner", "one", pruner_of()), plugin("pruner", "other", pruner_of())
FOLLOWING = plugin("pruner", "one", pruner_of(update_mask=hookimpl(lambda model, mask, context: None)))


def chain(plan, level=0.5, pruner=ONE, scope="paper") -> list[str]:
    return keys.chain("root", plan, level, pruner, scope)


def test_the_dense_training_is_shared_by_all_pruners_levels_and_scopes() -> None:
    after = default_plan("after", 0.5)
    dense = keys.chain("root", [Train()], None, None, "paper")[0]
    assert {chain(after)[0], chain(after, pruner=OTHER)[0], chain(after, pruner=FOLLOWING)[0]} == {dense}
    assert chain(after, 0.8, scope="backbone")[0] == dense


def test_pruned_stages_are_not_shared_across_pruners_scopes_or_levels() -> None:
    found = {
        chain([Prune(0.5), Train()])[1],
        chain([Prune(0.5), Train()], pruner=OTHER)[1],
        chain([Prune(0.5), Train()], scope="backbone")[1],
        chain([Prune(0.6), Train()], 0.6)[1],
        chain([Prune(0.5), Rewind(0.0), Train()])[2],
        chain([Prune(0.5), Rewind(0.5), Train()])[2],
    }
    assert len(found) == 6


def test_rounds_of_iterative_pruning_are_shared_between_levels() -> None:
    low, high = chain(default_plan("iterative", 0.36), 0.36), chain(default_plan("iterative", 0.488), 0.488)
    assert low == high[: len(low)]


def test_a_scheduled_training_belongs_to_one_pruner_and_level() -> None:
    scheduled = [Train(prune=cubic(0.5))]
    assert len({*chain(scheduled), *chain(scheduled, 0.6), *chain(scheduled, pruner=OTHER), *chain([Train()])}) == 4


def test_a_pruner_that_follows_the_mask_has_masked_trainings_of_its_own_per_level() -> None:
    plan = [Prune(0.5), Train()]
    assert chain(plan, 0.5, FOLLOWING)[1] != chain(plan, 0.6, FOLLOWING)[1]


@pytest.mark.parametrize(
    "change",
    [
        {"session_seed": 1},
        {"limit": 5},
        {"threads": 2},
        {"files": (("a.csv", "digest"),)},
        {"device": "cuda"},
        {"precision": "bfloat16"},
    ],
)
def test_the_start_depends_on_seeds_data_threads_device_and_precision(change) -> None:
    task = plugin("task", "toy", toy_task())
    assert keys.root(task, RunOptions(), 0) != keys.root(task, replace(RunOptions(), **change), 0)


def test_the_precision_of_evaluation_is_part_of_the_measurement_alone() -> None:
    task = plugin("task", "toy", toy_task())
    plain, low = RunOptions(), RunOptions(evaluate_in="bfloat16")
    assert keys.root(task, plain, 0) == keys.root(task, low, 0)
    assert keys.cell("last", task, plain) != keys.cell("last", task, low)
    assert keys.cell("last", task, plain) == keys.cell("last", task, RunOptions(evaluate_in="float32"))
    same = RunOptions(precision="bfloat16", evaluate_in="bfloat16")
    assert keys.cell("last", task, same) == keys.cell("last", task, RunOptions(precision="bfloat16"))


def test_the_start_does_not_depend_on_the_scope_or_on_paths() -> None:
    task = plugin("task", "toy", toy_task())
    moved = RunOptions(scope="backbone", data_dir="/elsewhere")
    assert keys.root(task, RunOptions(), 0) == keys.root(task, moved, 0)


def test_tasks_with_one_training_id_share_the_start_and_not_the_measurement() -> None:
    module = toy_task()
    middle, high = plugin("task", "middle", module), plugin("task", "high", module)
    assert keys.root(middle, RunOptions(), 0) == keys.root(high, RunOptions(), 0)
    assert keys.cell("last", middle, RunOptions()) != keys.cell("last", high, RunOptions())


@pytest.mark.parametrize(
    ("plan", "message"),
    [([], "must end in"), ([Train(), Rewind()], "must end in"), (["train"], "'train' in a plan")],
)
def test_a_plan_that_makes_no_sense_is_refused(plan, message) -> None:
    pruner = plugin("pruner", "one", pruner_of(plan=hookimpl(lambda level: plan)))
    hook = relay(plugin("task", "toy", toy_task()), pruner)
    with pytest.raises(PluginError, match=message):
        keys.plan_of(hook, pruner, 0.5, None)
