"""commonsense-mini: what its questions promise, and whether its scores are what the plain model says."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch
from smc_tasks.commonsense.data import LABELS, invent_world, questions, vocabulary
from smc_tasks.commonsense.mini import CommonsenseMiniParams

from smc_harness.conversation.conversation import Conversation
from smc_harness.conversation.options import RunOptions
from smc_harness.discovery.loading import Locator, load
from smc_harness.errors import UsageError

MODULE = "smc_tasks.commonsense.mini"
SMALL = {"entities": 8, "relations": 3, "values": 12, "train_draws": 6, "test_draws": 4}
PARAMS = CommonsenseMiniParams(**SMALL)


def converse(seed: int = 0, **settings: int) -> Conversation:
    """The task alone, small, as the harness would hold it."""
    texts = {key: str(value) for key, value in (SMALL | settings).items()}
    task = load(Locator("task", "commonsense-mini", MODULE, module=MODULE), texts)
    return Conversation(task, None, (), RunOptions(), seed)


@pytest.fixture(scope="module")
def talk() -> Conversation:
    return converse()


@pytest.fixture(scope="module")
def records() -> dict[str, list[dict[str, Any]]]:
    return questions(PARAMS)


def test_importing_the_declaration_loads_no_torch() -> None:
    check = f"import sys, {MODULE}; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True)


def test_all_seeds_see_the_same_data(talk: Conversation) -> None:
    for split, examples in converse(seed=1).data.items():
        for one, other in zip(talk.data[split], examples, strict=True):
            assert (one.id, one.label) == (other.id, other.label)
            assert torch.equal(one.input_ids, other.input_ids)


def test_another_data_seed_gives_other_facts() -> None:
    other = CommonsenseMiniParams(data_seed=1, **SMALL)
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


def test_ids_are_unique(talk: Conversation) -> None:
    ids = [example.id for split in talk.data.values() for example in split]
    assert len(set(ids)) == len(ids)


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


def test_a_question_is_scored_the_same_alone_and_in_a_batch(talk: Conversation) -> None:
    model = talk.build_model().eval()
    with torch.no_grad():
        (batch,) = talk.batches_in_order("test", 10_000)
        together = model(input_ids=batch["input_ids"]).logits
        alone = torch.cat([model(input_ids=one["input_ids"]).logits for one in talk.batches_in_order("test", 1)])
    assert torch.allclose(together, alone, atol=1e-5)


def test_a_model_with_nan_is_an_error_and_not_a_bad_score(talk: Conversation) -> None:
    model: Any = talk.build_model()
    with torch.no_grad():
        model.classifier.weight.fill_(torch.nan)
    with pytest.raises(FloatingPointError, match="not finite"):
        talk.evaluate(model, "test")


def test_the_loss_is_the_mean_over_the_questions(talk: Conversation) -> None:
    model = talk.build_model()
    examples = list(talk.data["train"][:4])
    alone = [talk.loss(model, talk.collate([example])).item() for example in examples]
    assert talk.loss(model, talk.collate(examples)).item() == pytest.approx(sum(alone) / 4, abs=1e-5)


def test_every_prunable_tensor_is_a_matrix_that_gets_a_gradient(talk: Conversation) -> None:
    model = talk.build_model()
    talk.loss(model, talk.collate(list(talk.data["train"][:16]))).backward()
    parameters = dict(model.named_parameters())
    for name in talk.hook.prunable(model=model, context=talk.task)["paper"]:
        assert parameters[name].dim() == 2
        assert parameters[name].grad is not None and parameters[name].grad.abs().sum() > 0, name


def test_presets_are_nested(talk: Conversation) -> None:
    model: Any = talk.build_model()
    presets = {key: set(names) for key, names in talk.hook.prunable(model=model, context=talk.task).items()}
    assert presets["backbone"] < presets["no-embeddings-no-head"] < presets["paper"]
    ends = {"classifier.weight"} | {
        f"roberta.embeddings.{name}_embeddings.weight" for name in ("word", "position", "token_type")
    }
    assert presets["paper"] - presets["no-embeddings-no-head"] == ends


def test_weights_follow_the_seed() -> None:
    first, again, other = (converse(seed).build_model().state_dict() for seed in (0, 0, 1))
    name = "roberta.embeddings.word_embeddings.weight"
    assert torch.equal(first[name], again[name])
    assert not torch.equal(first[name], other[name])


def test_retraining_takes_a_fifth_of_the_steps_at_a_quarter_of_the_rate(talk: Conversation) -> None:
    full, short = talk.recipe(retraining=False), talk.recipe(retraining=True)
    assert (full.steps, short.steps) == (900, 180)
    weight = torch.nn.Parameter(torch.zeros(1))
    rates = [recipe.optimizer([{"params": [weight]}]).param_groups[0]["lr"] for recipe in (full, short)]
    assert rates[1] == pytest.approx(rates[0] / 4)


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [({"values": 6}, "values=6"), ({"steps": 0}, "steps=0"), ({"heads": 5}, "multiple of heads")],
)
def test_impossible_sizes_are_refused(setting: dict[str, int], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        CommonsenseMiniParams(**setting)  # type: ignore[arg-type]
