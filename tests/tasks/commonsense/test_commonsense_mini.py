"""commonsense-mini: what its questions promise, and whether its scores are what the plain model says."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from smc_tasks.commonsense.mini import CommonsenseMiniParams
from smc_tasks.commonsense.mini_data import LABELS, invent_world, questions, vocabulary

from smc_harness.conversation.conversation import Conversation
from smc_harness.errors import UsageError
from tests.tasks.conversing import SMALL, converse

PARAMS = CommonsenseMiniParams(**SMALL["commonsense-mini"])


@pytest.fixture(scope="module")
def talk() -> Conversation:
    return converse("commonsense-mini")


@pytest.fixture(scope="module")
def records() -> dict[str, list[dict[str, Any]]]:
    return questions(PARAMS)


def test_another_data_seed_gives_other_facts() -> None:
    other = CommonsenseMiniParams(data_seed=1, **SMALL["commonsense-mini"])
    assert invent_world(other).facts != invent_world(PARAMS).facts


def test_the_default_test_split_asks_2000_questions() -> None:
    default = CommonsenseMiniParams()
    assert default.entities * default.relations == 400
    assert default.entities * default.relations * default.test_draws == 2000


def test_records_have_the_schema_of_commonsenseqa(records: dict[str, list[dict[str, Any]]]) -> None:
    for record in records["train"] + records["test"]:
        assert set(record) == {"id", "question", "answerKey"}
        assert set(record["question"]) == {"stem", "question_concept", "choices"}
        assert [choice["label"] for choice in record["question"]["choices"]] == list(LABELS)
        assert record["question"]["question_concept"] in record["question"]["stem"]
        assert record["answerKey"] in LABELS


def test_the_answer_is_the_fact_and_no_other_choice_is(records: dict[str, list[dict[str, Any]]]) -> None:
    facts = invent_world(PARAMS).facts
    for record in records["train"] + records["test"]:
        entity, relation = record["question"]["stem"].split()
        right = [
            choice["label"] for choice in record["question"]["choices"] if choice["text"] == facts[entity, relation]
        ]
        assert right == [record["answerKey"]]


def test_the_five_choices_differ(records: dict[str, list[dict[str, Any]]]) -> None:
    for record in records["train"] + records["test"]:
        assert len({choice["text"] for choice in record["question"]["choices"]}) == len(LABELS)


def test_every_fact_is_trained_on_and_asked_equally_often(records: dict[str, list[dict[str, Any]]]) -> None:
    for split, draws in (("train", PARAMS.train_draws), ("test", PARAMS.test_draws)):
        stems = [record["question"]["stem"] for record in records[split]]
        assert {stem: stems.count(stem) for stem in set(stems)} == {
            f"{entity} {relation}": draws for entity, relation in invent_world(PARAMS).facts
        }


def test_no_test_question_was_trained_on(records: dict[str, list[dict[str, Any]]]) -> None:
    def asked(split: str) -> set[tuple[str, frozenset[str]]]:
        rows = [record["question"] for record in records[split]]
        return {(row["stem"], frozenset(choice["text"] for choice in row["choices"])) for row in rows}

    assert not asked("train") & asked("test")


def test_tokens_spell_the_question(talk: Conversation, records: dict[str, list[dict[str, Any]]]) -> None:
    words = vocabulary(PARAMS)
    for example, record in zip(talk.data["test"], records["test"], strict=True):
        expected = [f"{record['question']['stem']} {choice['text']}" for choice in record["question"]["choices"]]
        assert [words.decode(row) for row in example.input_ids.tolist()] == expected
        assert LABELS[example.label] == record["answerKey"]


def test_evaluation_agrees_with_scoring_every_choice_alone(talk: Conversation) -> None:
    model: Any = talk.build_model().eval()
    outcomes, accuracy = talk.evaluate(model, "test")
    right = []
    with torch.no_grad():
        for number, example in enumerate(talk.data["test"]):
            scores = [model.classifier(model.roberta(row[None]).pooler_output).item() for row in example.input_ids]
            right.append(float(scores.index(max(scores)) == example.label))
            assert int(outcomes.predictions[number]) == scores.index(max(scores))  # type: ignore[index]
    assert outcomes.values.tolist() == right
    assert accuracy == pytest.approx(sum(right) / len(right))


def test_presets_are_nested(talk: Conversation) -> None:
    model: Any = talk.build_model()
    presets = {key: set(names) for key, names in talk.hook.prunable(model=model, context=talk.task).items()}
    assert presets["backbone"] < presets["no-embeddings-no-head"] < presets["paper"]
    ends = {"classifier.weight"} | {
        f"roberta.embeddings.{name}_embeddings.weight" for name in ("word", "position", "token_type")
    }
    assert presets["paper"] - presets["no-embeddings-no-head"] == ends


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [({"values": 6}, "values=6"), ({"steps": 0}, "steps=0"), ({"heads": 5}, "multiple of heads")],
)
def test_impossible_sizes_are_refused(setting: dict[str, int], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        CommonsenseMiniParams(**setting)  # type: ignore[arg-type]
