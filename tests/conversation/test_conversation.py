"""What the harness asks of a task, and how it answers a pruner."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from smc_harness import Outcomes, hookimpl
from smc_harness.conversation.conversation import Conversation
from smc_harness.conversation.options import RunOptions
from smc_harness.errors import PluginError, UsageError
from tests.toys import plugin, toy_task


@pytest.fixture
def task():
    return toy_task()


def talk_of(task, **options) -> Conversation:
    return Conversation(plugin("task", "toy", task), None, [], RunOptions(**options), 0)


def test_a_model_built_twice_has_the_same_weights_and_leaves_the_global_generator_alone(task) -> None:
    state = torch.get_rng_state()
    first, second = talk_of(task).build_model(), talk_of(task).build_model()
    assert torch.equal(first[0].weight, second[0].weight)
    assert torch.equal(torch.get_rng_state(), state)


def test_data_is_prepared_once_for_the_conversations_of_a_process(task) -> None:
    calls, prepare = [], task.prepare_data

    @hookimpl
    def counting(context):
        calls.append(1)
        return prepare(context)

    task.prepare_data = counting
    assert talk_of(task).data is talk_of(task).data
    assert calls == [1]


def test_limit_cuts_the_scored_split_alone(task) -> None:
    data = talk_of(task, limit=7).data
    assert (len(data["train"]), len(data["test"])) == (320, 7)


@pytest.mark.parametrize(
    ("hook", "returned", "message"),
    [
        ("prepare_data", {"train": [1]}, "at least 'train' and 'test'"),
        ("prepare_data", {"train": [1], "test": []}, "the split 'test' is empty"),
        ("prepare_data", None, "toy: prepare_data returned None"),
        ("prepare_model", 3, "prepare_model returned int; a Module would work"),
    ],
)
def test_what_a_task_returns_is_checked(task, hook, returned, message) -> None:
    setattr(task, hook, hookimpl(lambda context: returned))
    with pytest.raises(PluginError, match=message):
        talk_of(task).build_model()


@pytest.mark.parametrize(
    ("outcomes", "message"),
    [
        (Outcomes(torch.ones(3)), "3 outcomes for 160 examples of 'test'"),
        (Outcomes(torch.full((160,), float("nan"))), "NaN or infinite"),
        ([1.0], "evaluate returned list; Outcomes would work"),
    ],
)
def test_outcomes_are_checked(task, outcomes, message) -> None:
    task.evaluate = hookimpl(lambda model, split, context: outcomes)
    talk = talk_of(task)
    with pytest.raises(PluginError, match=message):
        talk.evaluate(talk.build_model(), "test")


def test_evaluation_is_in_eval_mode_without_gradients_and_restores_the_mode(task) -> None:
    seen = []

    @hookimpl
    def evaluate(model, split):
        seen.append((model.training, torch.is_grad_enabled()))
        return Outcomes(torch.ones(160))

    task.evaluate = evaluate
    talk = talk_of(task)
    model = talk.build_model().train()
    assert talk.evaluate(model, "test")[1] == 1.0
    assert seen == [(False, False)] and model.training


def test_a_task_may_aggregate_in_its_own_way(task) -> None:
    task.aggregate = hookimpl(lambda outcomes: float(outcomes.values.sum()))
    talk = talk_of(task)
    outcomes, value = talk.evaluate(talk.build_model(), "test")
    assert value == outcomes.values.sum()


def test_an_unknown_scope_is_named(task) -> None:
    with pytest.raises(UsageError, match="--scope 'backbone': toy has 'paper'"):
        talk_of(task, scope="backbone").build_model()


def test_the_default_blocks_are_the_longest_module_list(task) -> None:
    model = nn.Module()
    model.short, model.long = nn.ModuleList([nn.Linear(1, 1)]), nn.ModuleList([nn.Linear(1, 1), nn.Linear(1, 1)])
    assert talk_of(task).blocks(model) == list(model.long)


def test_batches_of_any_nesting_are_moved(task) -> None:
    task.collate = hookimpl(lambda examples: {"a": [torch.ones(1), (torch.zeros(2), "text")]})
    batch = talk_of(task).collate([1])
    assert batch["a"][1][1] == "text" and torch.equal(batch["a"][0], torch.ones(1))


@pytest.mark.parametrize("value", [torch.ones(2), [1], object()])
def test_only_numbers_and_texts_can_be_logged(task, value) -> None:
    with pytest.raises(PluginError, match="a number or a text would work"):
        talk_of(task).pruner.log("key", value)


def test_a_tensor_with_one_element_is_logged_as_its_number(task) -> None:
    talk = talk_of(task)
    talk.pruner.log("key", torch.tensor([2.5]))
    assert talk.pruner.logged == {"key": 2.5}


def test_a_pruner_learns_how_many_examples_a_split_has(task) -> None:
    assert talk_of(task, limit=7).pruner.examples("train") == 320


def test_a_pruner_learns_which_layers_are_the_tasks_output(task) -> None:
    assert talk_of(task).pruner.head == ()
    task.head = "3.*"
    assert talk_of(task).pruner.head == ("3.*",)


def test_asked_for_the_examples_of_an_unknown_split_the_known_ones_are_named(task) -> None:
    with pytest.raises(PluginError, match="toy: no split 'dev'; it has train, test"):
        talk_of(task).pruner.examples("dev")
