"""Multiple-choice questions on a pretrained encoder, in the real formats of files and checkpoints."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from smc_tasks.commonsense import choices, multiple_choice
from smc_tasks.commonsense.questions import OPTION_LONGEST, Special, commonsense_qa, race, read

from smc_harness import Pretrained
from smc_harness.conversation.conversation import Conversation
from smc_harness.conversation.options import RunOptions
from smc_harness.discovery.catalogue import discover
from smc_harness.discovery.loading import load
from smc_harness.errors import UsageError
from tests.checkpoints import roberta

Command = Callable[..., Any]
THINGS = ["bank", "library", "shop", "mall", "zoo", "farm"]
ROW = {
    "answerKey": "B",
    "id": "q1",
    "question": {
        "question_concept": "door",
        "stem": "Where is a door?",
        "choices": [{"label": label, "text": text} for label, text in zip("ABCDE", THINGS, strict=False)],
    },
}
HUB_ROW = {
    "answerKey": "B",
    "id": "q1",
    "question": "Where is a door?",
    "question_concept": "door",
    "choices": {"label": list("ABCDE"), "text": THINGS[:5]},
}
RACE_ROW = {
    "example_id": "middle1.txt",
    "article": "A long\n story about   doors.",
    "question": "A door is _ .",
    "options": ["open", "shut", "wide", "red"],
    "answer": "D",
}
SPECIAL = Special(begin=0, end=2, padding=1, longest=512)


def letters(text: str) -> list[int]:
    """One id a letter, so that an input can be read back."""
    return [ord(letter) for letter in text]


def readable(ids: tuple[int, ...]) -> str:
    return "".join({0: "<s>", 2: "</s>"}.get(number, chr(number)) for number in ids)


@pytest.mark.parametrize("row", [ROW, HUB_ROW], ids=["files", "hub"])
def test_a_question_is_put_with_each_choice(row: Any) -> None:
    question = commonsense_qa(row, letters, SPECIAL)
    assert readable(question.choices[1]) == "<s>Q: Where is a door?</s>A: library</s>"
    assert (len(question.choices), question.label, question.id) == (5, 1, "q1")


def test_a_race_option_fills_the_blank_and_comes_before_the_article() -> None:
    question = race(RACE_ROW, letters, SPECIAL)
    assert readable(question.choices[3]) == "<s>A door is red .</s></s>A long story about doors.</s>"
    asked = race(RACE_ROW | {"question": "What is a door?"}, letters, SPECIAL)
    assert readable(asked.choices[0]) == "<s>What is a door? open</s></s>A long story about doors.</s>"
    assert (question.label, question.group) == (3, "middle1.txt")


def test_long_options_and_articles_are_cut_where_the_recipe_cuts_them() -> None:
    long = race(RACE_ROW | {"options": ["o" * 300] * 4, "article": "a" * 600}, letters, SPECIAL)
    text = readable(long.choices[0])
    assert [len(ids) for ids in long.choices] == [512] * 4
    assert text.startswith("<s>A door is " + "o" * (OPTION_LONGEST - 11) + "</s>a")
    assert text.endswith("a")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"answerKey": ""}, "ValueError: the answer is ''; one of A, B, C, D, E would work"),
        ({"question": None}, "row 2: TypeError"),
    ],
)
def test_a_row_that_is_no_question_is_named(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(UsageError) as caught:
        read([ROW, ROW | change], commonsense_qa, "csqa test", letters, SPECIAL)
    assert "csqa test: row 2" in str(caught.value)
    assert reason in str(caught.value)


def test_two_rows_with_one_id_are_told_apart() -> None:
    found = read([ROW, ROW], commonsense_qa, "csqa test", letters, SPECIAL)
    assert [question.id for question in found] == ["q1", "q1#2"]


# -- on a checkpoint ---------------------------------------------------------------------------------------------------


def rows(count: int, seed: int) -> list[dict[str, Any]]:
    """Questions whose answer is the only zoo."""
    draw = torch.Generator().manual_seed(seed)
    found = []
    for number in range(count):
        texts = [THINGS[index] for index in torch.randint(4, (5,), generator=draw)]
        label = int(torch.randint(5, (1,), generator=draw))
        texts[label] = "zoo"
        options = [{"label": letter, "text": text} for letter, text in zip("ABCDE", texts, strict=True)]
        asked = {"stem": "where is the lion ?", "question_concept": "lion", "choices": options}
        found.append({"id": f"{seed}-{number}", "answerKey": "ABCDE"[label], "question": asked})
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """models/small and data/commonsense_qa, one of the files gzipped."""
    folder = tmp_path_factory.mktemp("csqa")
    texts = [f"Q: where is the lion ? A: {thing}" for thing in THINGS]
    roberta(folder / "models" / "small", texts)
    data = folder / "data" / "commonsense_qa"
    data.mkdir(parents=True)
    (data / "train_rand_split.jsonl").write_text("\n".join(map(json.dumps, rows(96, 1))))
    with gzip.open(data / "dev_rand_split.jsonl.gz", "wt") as stream:
        stream.write("\n".join(map(json.dumps, rows(60, 2))))
    return folder


SETTINGS = {"model": "small", "steps": "60", "warmup": "5", "batch_size": "16", "learning_rate": "0.003"}


def talk_of(folder: Path, **settings: str) -> Conversation:
    task = load(discover().installed["task"]["csqa"], SETTINGS | settings)
    place = Pretrained(str(folder / "models" / "small"))
    return Conversation(task, None, [], RunOptions(data_dir=str(folder / "data"), pretrained=place), 0)


def test_logits_are_those_of_the_plain_model(folder: Path) -> None:
    from transformers import AutoTokenizer, RobertaForMultipleChoice

    talk = talk_of(folder)
    model = talk.build_model().eval()
    model.save_pretrained(folder / "built")  # type: ignore[operator]
    plain = RobertaForMultipleChoice.from_pretrained(folder / "built").eval()
    tokenizer = AutoTokenizer.from_pretrained(folder / "models" / "small")
    questions = talk.data["test"][:3]
    logits = multiple_choice.scores(model, talk.collate(list(questions)))
    source = rows(60, 2)[:3]
    for number, row in enumerate(source):
        for place, choice in enumerate(row["question"]["choices"]):
            first = tokenizer(f"Q: {row['question']['stem']}")["input_ids"]
            second = tokenizer(f"A: {choice['text']}")["input_ids"][1:]
            expected = plain(input_ids=torch.tensor([[first + second]])).logits[0, 0]
            torch.testing.assert_close(logits[number, place], expected)


def test_the_head_is_fresh_and_initialised_as_linear_layers_are(folder: Path) -> None:
    model = talk_of(folder).build_model()
    for name in ("classifier", "roberta.pooler.dense"):
        weight = model.get_submodule(name).weight
        assert 0.15 < float(weight.detach().abs().max()) <= 16**-0.5


def test_without_steps_the_checkpoint_is_taken_as_it_is_with_its_own_head(folder: Path) -> None:
    tuned = talk_of(folder).build_model()
    tuned.save_pretrained(folder / "models" / "tuned")  # type: ignore[operator]
    for file in (folder / "models" / "small").glob("*token*"):
        shutil.copy(file, folder / "models" / "tuned")
    task = load(discover().installed["task"]["csqa"], SETTINGS | {"steps": "0"})
    places = (Pretrained(str(folder / "models" / name)) for name in ("tuned", "small"))
    whole, headless = (
        Conversation(task, None, [], RunOptions(data_dir=str(folder / "data"), pretrained=place), 0) for place in places
    )
    built = whole.build_model().state_dict()
    assert all(torch.equal(tensor, built[name]) for name, tensor in tuned.state_dict().items())
    assert whole.recipe(retraining=False).steps == 0
    with pytest.raises(UsageError, match=r"small lacks 'classifier.bias' and 3 more; a checkpoint of a RobertaForMul"):
        headless.build_model()


def test_scores_do_not_depend_on_batches(folder: Path) -> None:
    one, many = talk_of(folder, evaluation_batch="1"), talk_of(folder)
    model = one.build_model().eval()
    many.build_model()
    questions = list(one.data["test"])
    together = multiple_choice.scores(model, one.collate(questions))
    alone = torch.cat([multiple_choice.scores(model, one.collate([question])) for question in questions])
    torch.testing.assert_close(together, alone)
    assert torch.equal(one.evaluate(model, "test")[0].predictions, many.evaluate(model, "test")[0].predictions)
    assert torch.equal(many.evaluate(model, "test")[0].predictions, alone.argmax(1))


def test_a_batch_of_questions_is_within_the_budget_of_the_device(folder: Path) -> None:
    seen: list[int] = []
    talk = talk_of(folder)
    model: Any = talk.build_model()
    model.roberta.register_forward_pre_hook(lambda module, given: seen.append(given[0].numel()))
    talk.evaluate(model, "test")
    assert len(seen) > 1
    assert 512 < max(seen) <= 1024


def test_an_article_is_tokenised_once_for_its_questions(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import RobertaTokenizer

    asked: list[str] = []
    plain = RobertaTokenizer.__call__

    def counting(self: Any, text: str, **how: Any) -> Any:
        asked.append(text)
        return plain(self, text, **how)

    monkeypatch.setattr(RobertaTokenizer, "__call__", counting)
    source = [RACE_ROW | {"question": f"Is it number {number} ?"} for number in range(3)]
    (tmp_path / "race.jsonl").write_text("\n".join(map(json.dumps, source)))
    files = dict.fromkeys(("train", "middle_test", "high_test"), "race.jsonl")
    task = load(discover().installed["task"]["race-middle"], {"model": "small"} | files)
    place = Pretrained(str(folder / "models" / "small"))
    talk = Conversation(task, None, [], RunOptions(data_dir=str(tmp_path), pretrained=place), 0)
    assert len(talk.data["test"]) == 3
    assert asked.count("A long story about doors.") == 1


def test_it_learns_and_is_pruned(command: Command, folder: Path) -> None:
    settings = [word for name, value in SETTINGS.items() for word in ("--set", f"csqa.{name}={value}")]
    folders = ["--data-dir", str(folder / "data"), "--model-dir", str(folder / "models")]
    plan = ["--tasks", "csqa", "--pruners", "magnitude-after", "--levels", "0.2,0.893", "--search", "grid", "-n", "0"]
    done = command(*plan, *folders, *settings, "--json", "out.json")
    assert done.code == 0, done.err
    report = json.loads(Path("out.json").read_text())
    assert report["tasks"]["csqa"]["dense"] > 0.5
    assert len(report["cells"]) == 2
    heads = [name for name in report["cells"][0]["densities"] if name.startswith(("classifier.", "roberta.pooler."))]
    assert heads == ["roberta.pooler.dense.weight", "classifier.weight"]


def test_without_data_dir_the_rows_come_from_the_hub_at_its_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def load_dataset(name: str, config: str | None, *, split: str, revision: str) -> list[dict[str, Any]]:
        asked.append((name, config, split, revision))
        return [HUB_ROW]

    monkeypatch.setattr("datasets.load_dataset", load_dataset)
    found = [list(dataset.rows()) for split in ("train", "test") for dataset in choices.csqa.hub_datasets(split)]
    assert found == [[HUB_ROW], [HUB_ROW]]
    assert asked == [
        ("tau/commonsense_qa", None, "train", choices.CSQA_COMMIT),
        ("tau/commonsense_qa", None, "validation", choices.CSQA_COMMIT),
    ]
    parts = [
        (dataset.config, dataset.split)
        for split in ("train", "test")
        for dataset in choices.race_high.hub_datasets(split)
    ]
    assert parts == [("middle", "train"), ("high", "train"), ("high", "test")]


def test_a_hub_that_cannot_be_reached_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def load_dataset(*_: Any, **__: Any) -> None:
        raise ConnectionError("no route\nand more")

    monkeypatch.setattr("datasets.load_dataset", load_dataset)
    with pytest.raises(UsageError, match=r"^tau/commonsense_qa at 94630fe is neither .*--data-dir DIR .*\(no route\)$"):
        list(choices.csqa.hub_datasets("train")[0].rows())


def test_both_race_tasks_share_one_training(tmp_path: Path) -> None:
    found = discover().installed["task"]
    middle, high = load(found["race-middle"]), load(found["race-high"])
    assert middle.training == high.training == "race"
    assert middle.training_identity == high.training_identity
    context = SimpleNamespace(params=middle.params, data_dir=tmp_path)
    assert choices.race_middle.data_files(context) == choices.race_high.data_files(context)
    assert choices.race_middle.files(context)["test"] == ["race/middle_test.jsonl"]
    assert choices.race_high.files(context)["test"] == ["race/high_test.jsonl"]


def test_the_recipes_are_the_published_ones() -> None:
    context = SimpleNamespace(params=choices.CommonsenseQaParams(), data={"train": range(9741)})
    recipe = choices.csqa.recipe(context)
    assert (recipe.steps, recipe.batch_size, recipe.clip) == (3000, 16, None)
    assert [recipe.schedule(step, 3000) for step in (0, 149, 150, 1575)] == pytest.approx([1 / 150, 1, 1, 0.5])
    race_recipe = choices.race_high.recipe(SimpleNamespace(params=choices.RaceParams(), data={"train": range(87_866)}))
    assert race_recipe.steps == 3 * 5492
    assert [race_recipe.schedule(step, 16_476) for step in (499, 16_000)] == [1.0, 1.0]
    (group,) = recipe.optimizer([{"params": [torch.nn.Parameter(torch.ones(1))]}]).param_groups
    assert (group["lr"], group["betas"], group["eps"], group["weight_decay"]) == (1e-5, (0.9, 0.98), 1e-6, 0.01)
