"""Multiple choice by log-likelihood, against one forward pass for every choice in float64."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from smc_tasks.language_modeling import choices, questions
from smc_tasks.language_modeling.choices import asked, collate, log_likelihoods, plain_log_likelihoods, sees_branches
from smc_tasks.language_modeling.questions import Question

from smc_harness import Pretrained
from smc_harness.conversation.conversation import Conversation
from smc_harness.conversation.options import RunOptions
from smc_harness.discovery.catalogue import discover
from smc_harness.discovery.loading import load
from smc_harness.errors import UsageError
from tests.checkpoints import causal

BOOLQ = [
    {"question": f"is number {n} even", "passage": f"Number {n} is what it is.", "idx": n, "label": n % 2 == 0}
    for n in range(12)
]
PIQA = [
    {"goal": f"To hold {n}", "sol1": f"use {n} hands", "sol2": "use a rope and a nail", "label": n % 2}
    for n in range(9)
]
ARC = [
    {
        "id": f"Q{n}",
        "question": {
            "stem": f"What is {n}?",
            "choices": [
                {"text": f"{word} {n}", "label": label}
                for word, label in zip(["a cat", "dogs", "no"], "ABC", strict=True)
            ],
        },
        "answerKey": "ABC"[n % 3],
    }
    for n in range(9)
]
HELLASWAG = [
    {
        "ind": n,
        "activity_label": "Pole vault",
        "ctx_a": f"A man runs {n} times.",
        "ctx_b": "he",
        "endings": ["jumps [step] high. [title] Then rests.", "falls", "sits  down on a mat", "goes"],
        "label": str(n % 4),
        "source_id": f"video{n // 2}",
    }
    for n in range(8)
]
WINOGRANDE = [
    {
        "qID": f"P{n // 2}-{n % 2 + 1}",
        "sentence": f"Ann told Bo that _ had {n} cats .",
        "option1": "Ann",
        "option2": "Bo",
        "answer": str(n % 2 + 1),
    }
    for n in range(8)
]
CSQA = [
    {
        "id": f"c{n}",
        "question": {
            "stem": f"Where is {n}? ",
            "choices": [{"label": label, "text": f"at {label.lower()}{n}"} for label in "ABCDE"],
        },
        "answerKey": "ABCDE"[n % 5],
    }
    for n in range(6)
]
RACE = [
    {
        "example_id": f"high{n // 2}.txt",
        "article": f"Text {n // 2} is about a cat.",
        "question": "The cat is  _  ." if n % 2 == 0 else "What is it about?",
        "options": ["black", "white", "a cat", "nothing"],
        "answer": "ABCD"[n % 4],
    }
    for n in range(8)
]
FILES = {
    "boolq": ("boolq/val.jsonl", BOOLQ),
    "piqa": ("piqa/valid.jsonl", PIQA),
    "arc-challenge": ("arc/ARC-Challenge-Test.jsonl", ARC),
    "hellaswag": ("hellaswag/val.jsonl", HELLASWAG),
    "winogrande": ("winogrande_1.1/dev.jsonl", WINOGRANDE),
    "commonsense-qa": ("commonsense_qa/dev_rand_split.jsonl", CSQA),
    "race": ("race/high_test.jsonl", RACE),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("zero-shot")
    texts = [" ".join(map(str, row.values())) for _, rows in FILES.values() for row in rows]
    for kind in ("llama", "gpt2"):
        causal(folder / "models" / kind, texts, kind, longest=96)
    for name, rows in FILES.values():
        (folder / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "data" / name).write_text("\n".join(map(json.dumps, rows)))
    (folder / "data" / "calibration.txt").write_text("\n".join(texts))
    return folder


def talk_of(folder: Path, name: str, kind: str = "llama", **given: Any) -> Conversation:
    settings = {"model": kind, "train": "calibration.txt", "length": "32"} | {key: str(v) for key, v in given.items()}
    task = load(discover().installed["task"][f"zero-shot-{name}"], settings)
    options = RunOptions(data_dir=str(folder / "data"), pretrained=Pretrained(str(folder / "models" / kind)))
    return Conversation(task, None, [], options, 0)


def made(name: str) -> list[Question]:
    rows, form = FILES[name][1], getattr(questions, name.replace("-", "_"))
    return list(form(rows)) if name == "race" else [form(row, number) for number, row in enumerate(rows, start=1)]


def by_hand(folder: Path, kind: str, question: Question, longest: int) -> list[float]:
    """The nats of each choice: the whole text run alone, what comes after the context's tokens summed."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    place = folder / "models" / kind
    tokenizer = AutoTokenizer.from_pretrained(place)
    model = AutoModelForCausalLM.from_pretrained(place, dtype=torch.float64).eval()
    found = []
    for context, ending in zip(question.contexts, question.endings, strict=True):
        before = tokenizer(context, verbose=False).input_ids
        whole = before + tokenizer(context + ending, verbose=False).input_ids[len(before) :]
        scored = len(whole) - len(before)
        whole = whole[-longest - 1 :]
        with torch.no_grad():
            chances = model(input_ids=torch.tensor([whole[:-1]])).logits[0].log_softmax(-1)
        targets = torch.tensor(whole[1:])
        each = chances.gather(1, targets.unsqueeze(1))[:, 0]
        found.append(float(each[-scored:].sum()))
    return found


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
@pytest.mark.parametrize("name", FILES)
def test_log_likelihoods_are_those_of_every_choice_run_alone(folder: Path, name: str, kind: str) -> None:
    talk = talk_of(folder, name, kind, length=96)
    model = talk.build_model().eval()
    batch = talk.collate(list(talk.data["test"]))
    with torch.no_grad():
        assert sees_branches(model, talk.collate(list(talk.data["test"])[:1]))
        ways = log_likelihoods(model, batch), plain_log_likelihoods(model, batch)
    for number, question in enumerate(made(name)):
        expected = torch.tensor(by_hand(folder, kind, question, 96))
        for found in ways:
            torch.testing.assert_close(found[number, : len(expected)].double(), expected.double(), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_of_a_text_beyond_the_models_length_the_last_is_seen(folder: Path, kind: str) -> None:
    talk = talk_of(folder, "race", kind, length=20)
    model = talk.build_model().eval()
    with torch.no_grad():
        found = log_likelihoods(model, talk.collate(list(talk.data["test"])))
    for number, question in enumerate(made("race")):
        expected = torch.tensor(by_hand(folder, kind, question, 20))
        torch.testing.assert_close(found[number].double(), expected.double(), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("score", ["acc", "acc_norm"])
@pytest.mark.parametrize("name", FILES)
def test_the_likeliest_choice_is_the_answer(folder: Path, name: str, score: str) -> None:
    talk = talk_of(folder, name, length=96, score=score)
    outcomes, value = talk.evaluate(talk.build_model(), "test")
    right = []
    for question in made(name):
        nats = by_hand(folder, "llama", question, 96)
        weighed = [n / len(c) for n, c in zip(nats, question.choices, strict=True)] if score == "acc_norm" else nats
        right.append(weighed.index(max(weighed)) == question.answer)
    assert outcomes.values.tolist() == [float(each) for each in right]
    assert value == pytest.approx(sum(right) / len(right)) == talk.task.logged[score]
    assert talk.task.logged["common parts run once"] is True


def test_what_choices_share_is_run_once(folder: Path) -> None:
    talk = talk_of(folder, "hellaswag", length=96)
    for example in talk.data["test"]:
        shared = int((example.branches == 0).sum())
        assert shared > 10 and len(example.tokens) < 4 * shared
        assert example.positions[:shared].tolist() == list(range(shared))


def test_the_head_is_asked_at_scored_places_alone(folder: Path) -> None:
    talk = talk_of(folder, "boolq", length=96)
    model: Any = talk.build_model().eval()
    seen: list[int] = []
    model.lm_head.register_forward_pre_hook(lambda _, given: seen.append(given[0].shape[1]))
    batch = talk.collate(list(talk.data["test"])[:5])
    with torch.no_grad():
        log_likelihoods(model, batch)
    assert seen == [len(set(zip(batch["row"].tolist(), batch["place"].tolist(), strict=True)))]
    assert seen[0] < len(batch["row"])  # both answers begin at one place


def test_a_model_that_cannot_be_told_what_to_see_has_its_choices_run_one_by_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk = talk_of(folder, "piqa")
    model = talk.build_model()
    expected, _ = talk.evaluate(model, "test")

    def deaf(model: Any, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        return log_likelihoods(model, batch | {"branches": torch.zeros_like(batch["branches"])})

    monkeypatch.setattr(choices, "log_likelihoods", deaf)
    found, _ = talk.evaluate(model, "test")
    assert talk.task.logged["common parts run once"] is False
    assert torch.equal(found.values, expected.values)


def test_blanks_at_the_end_of_a_context_belong_to_what_follows() -> None:
    read: list[str] = []

    def encode(text: str) -> list[int]:
        read.append(text)
        return list(text.encode())

    asked(Question("a", "a", ("is it ", "is it "), ("yes", "no"), ("yes", "no"), 0), encode, 99)
    assert read == ["is it", "is it yes", "is it", "is it no"]


def test_examples_of_all_lengths_are_padded_without_being_seen(folder: Path) -> None:
    talk = talk_of(folder, "arc-challenge")
    model = talk.build_model().eval()
    examples = list(talk.data["test"]) + list(talk_of(folder, "hellaswag").data["test"])
    with torch.no_grad():
        together = log_likelihoods(model, collate(examples))
        for number, example in enumerate(examples):
            alone = log_likelihoods(model, collate([example]))[0]
            torch.testing.assert_close(together[number, : len(alone)], alone, rtol=1e-4, atol=1e-4)


def test_hellaswag_is_cleaned_as_its_numbers_have_it() -> None:
    question = made("hellaswag")[0]
    assert question.contexts[0] == "Pole vault: A man runs 0 times. He"
    assert question.choices == ("jumps high.. Then rests.", "falls", "sits down on a mat", "goes")
    assert question.endings[1] == " falls" and question.group == "video0"


def test_the_hubs_rows_make_the_same_questions_as_the_original_files() -> None:
    flat = {"id": "Q1", "question": "What is 1?", "answerKey": "B"}
    hub = flat | {"choices": {"text": ["a cat 1", "dogs 1", "no 1"], "label": ["A", "B", "C"]}}
    assert questions.arc(hub, 1) == questions.arc(ARC[1], 1)
    row = BOOLQ[0]
    as_hub = {"question": row["question"], "passage": row["passage"], "idx": 0, "label": 1}
    assert questions.boolq(as_hub, 1) == questions.boolq(row, 1)


@pytest.mark.parametrize(
    ("name", "row", "message"),
    [
        (
            "boolq",
            {"question": "x", "passage": "y", "label": 7},
            "row 1: ValueError: the answer is number 7 of 2 choices",
        ),
        ("piqa", {"goal": "x"}, "row 1: KeyError: 'sol1'"),
        ("winogrande", {"sentence": "none", "option1": "a", "option2": "b", "answer": "1"}, "no blank in 'none'"),
    ],
)
def test_a_row_that_is_no_question_is_named(
    folder: Path, tmp_path: Path, name: str, row: dict[str, Any], message: str
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "models").symlink_to(folder / "models")
    (tmp_path / "data" / "bad.jsonl").write_text(json.dumps(row))
    (tmp_path / "data" / "calibration.txt").write_text("word " * 200)
    with pytest.raises(UsageError, match=message):
        _ = talk_of(tmp_path, name, test="bad.jsonl").data
