"""Word problems read by a pretrained encoder: a small RoBERTa in the format in which real ones come."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from smc_tasks.arithmetic.batching import collate
from smc_tasks.arithmetic.problems import Problem, encode, vocabulary_of
from smc_tasks.arithmetic.words import piece_reader, pretrained_words

from smc_harness import Pretrained
from smc_harness.errors import UsageError
from tests.checkpoints import roberta

Command = Callable[..., SimpleNamespace]
QUESTIONS = [
    f"ann has number0 {thing} and buys number1 {other} . how many {thing} has she ?"
    for thing, other in [("eggs", "cats"), ("dogs", "pens"), ("cats", "eggs"), ("pens", "dogs")]
]
CSV = "Question,Numbers,Equation,Answer\n" + "".join(
    f"{question},{5 + count} 2,{'+' if count % 2 else '-'} number0 number1,{7 + count if count % 2 else 3 + count}\n"
    for count, question in enumerate(QUESTIONS * 4)
)
SETTINGS = {"encoder": "roberta-base", "recipe": "laptop", "hidden": 8, "batch": 4, "epochs": 2, "beam": 2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """models/roberta-base and data/arithmetic/cv_mawps/fold0."""
    folder = tmp_path_factory.mktemp("pretrained")
    roberta(folder / "models" / "roberta-base", QUESTIONS)
    fold = folder / "data" / "arithmetic" / "cv_mawps" / "fold0"
    fold.mkdir(parents=True)
    for name in ("train.csv", "dev.csv"):
        (fold / name).write_text(CSV)
    return folder


def context_of(folder: Path) -> SimpleNamespace:
    return SimpleNamespace(name="mawps-gts", pretrained=Pretrained(str(folder / "models" / "roberta-base")))


def problem(words: str) -> Problem:
    return Problem(words, tuple(words.split()), (5.0, 2.0), ("+", "number0", "number1"), 7.0)


def test_a_word_is_the_state_of_its_first_piece(folder: Path) -> None:
    from transformers import AutoTokenizer, RobertaModel

    place = folder / "models" / "roberta-base"
    problems = [problem(QUESTIONS[0]), problem("number0 zebras , number1 unbelievable eggs")]
    vocabulary = vocabulary_of(problems)
    read = piece_reader(context_of(folder))
    batch = collate([encode(each, vocabulary, read_pieces=read) for each in problems])
    words = pretrained_words(context_of(folder)).eval()
    states = words(batch)
    assert states.shape == (2, batch["tokens"].shape[1], 16)
    # the reference: word by word, each after a space, pieces counted by hand
    tokenizer, model = AutoTokenizer.from_pretrained(place), RobertaModel.from_pretrained(place).eval()
    for row, each in enumerate(problems):
        ids, starts = [tokenizer.bos_token_id], []
        for word in each.words:
            starts.append(len(ids))
            ids += tokenizer.convert_tokens_to_ids(tokenizer.tokenize(f" {word}"))
        ids.append(tokenizer.eos_token_id)
        assert len(ids) > len(starts) + 2  # some word has several pieces
        expected = model(torch.tensor([ids])).last_hidden_state[0][starts]
        torch.testing.assert_close(states[row, : len(starts)], expected)


def test_a_question_that_the_encoder_cannot_hold_is_named(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"pieces, but the encoder reads 64"):
        piece_reader(context_of(folder))(["eggs"] * 70)


def test_a_checkpoint_of_another_family_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gpt2"}))
    context = SimpleNamespace(name="mawps-gts", pretrained=Pretrained(str(tmp_path)))
    with pytest.raises(UsageError, match="^mawps-gts: the checkpoint is a 'gpt2' model; bert or roberta or"):
        pretrained_words(context)


def test_what_no_hub_gives_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    context = SimpleNamespace(name="mawps-gts", pretrained=Pretrained("nobody/nothing", "0123456789"))
    with pytest.raises(
        UsageError, match=r"^nobody/nothing at 0123456 is neither .*--model-dir DIR with a folder nothing"
    ):
        pretrained_words(context)


@pytest.mark.parametrize("task", ["mawps-gts", "mawps-graph2tree"])
@pytest.mark.parametrize("scope", ["paper", "backbone"])
def test_it_trains_prunes_and_evaluates(command: Command, folder: Path, task: str, scope: str) -> None:
    settings = [word for name, value in SETTINGS.items() for word in ("--set", f"{task}.{name}={value}")]
    folders = ["--data-dir", str(folder / "data"), "--model-dir", str(folder / "models")]
    plan = ["--tasks", task, "--pruners", "magnitude-after,snip", "--levels", "0.5", "--search", "grid"]
    done = command(*plan, *folders, *settings, "--scope", scope, "--no-dense-check", "--json", "out.json", "-n", "0")
    assert done.code == 0, done.err
    cells = json.loads(Path("out.json").read_text())["cells"]
    assert [cell["verdict"] in ("pass", "fail") for cell in cells] == [True, True]
    for cell in cells:
        assert cell["realised"] == pytest.approx(0.5, abs=1e-3)
        pieces = [name for name in cell["densities"] if name.startswith("encoder.words.model.embeddings.")]
        assert bool(pieces) == (scope == "paper")
        assert any(name.startswith("encoder.words.model.encoder.layer.1.") for name in cell["densities"])


def test_the_encoder_learns_at_its_own_rate(folder: Path) -> None:
    from smc_harness.conversation.conversation import Conversation
    from smc_harness.conversation.options import RunOptions
    from smc_harness.discovery.catalogue import discover
    from smc_harness.discovery.loading import load

    settings = {name: str(value) for name, value in SETTINGS.items()} | {"encoder_learning_rate": "0.002"}
    task = load(discover().installed["task"]["mawps-gts"], settings)
    options = RunOptions(data_dir=str(folder / "data"), pretrained=context_of(folder).pretrained)
    talk = Conversation(task, None, [], options, 0)
    model, recipe = talk.build_model(), talk.recipe(retraining=False)
    assert recipe.parameter_groups is not None
    groups = recipe.optimizer(recipe.parameter_groups(model)).param_groups
    rates = {id(parameter): group["lr"] for group in groups for parameter in group["params"]}
    own = {name: rates[id(parameter)] for name, parameter in model.named_parameters()}
    assert {rate for name, rate in own.items() if ".words." in name} == {0.002}
    assert {rate for name, rate in own.items() if ".words." not in name} == {1e-3}


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        ("embedding=64", "embedding=64 has no effect with encoder='roberta-base'"),
        ("encoder_learning_rate=0", "encoder_learning_rate=0.0: expected a number above 0"),
    ],
)
def test_settings_without_effect_or_sense_are_refused(command: Command, setting: str, reason: str) -> None:
    done = command("--tasks", "mawps-gts", "--set", "mawps-gts.encoder=roberta-base", "--set", f"mawps-gts.{setting}")
    assert done.code == 4
    assert reason in done.err
