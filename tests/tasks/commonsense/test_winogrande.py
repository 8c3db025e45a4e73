"""WinoGrande by a masked language model, without a head."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from smc_tasks.commonsense import masked_words
from smc_tasks.commonsense.masked_words import winogrande

from smc_harness import Pretrained
from smc_harness.conversation.conversation import Conversation
from smc_harness.conversation.options import RunOptions
from smc_harness.discovery.catalogue import discover
from smc_harness.discovery.loading import load
from smc_harness.errors import UsageError
from tests.checkpoints import roberta

Command = Callable[..., Any]
NAMES = ["Sarah", "Maria", "Katherine", "Jo"]
SETTINGS = {"model": "small", "steps": "40", "warmup": "5", "batch_size": "8", "learning_rate": "0.003"}


def row(number: int) -> dict[str, str]:
    first, second = NAMES[number % 4], NAMES[(number + 1 + number // 4 % 3) % 4]
    sentence = f"{first} was better than {second} so _ got the {'easier' if number % 2 else 'harder'} cases."
    right = "2" if number % 2 else "1"
    options = {"option1": first, "option2": second}
    return {"qID": f"PAIR{number // 2}-{number % 2 + 1}", "sentence": sentence, **options, "answer": right}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("winogrande")
    rows = [row(number) for number in range(48)]
    roberta(folder / "models" / "small", [each["sentence"].replace("_", each["option1"]) for each in rows], pieces=280)
    data = folder / "data" / "winogrande_1.1"
    data.mkdir(parents=True)
    for name in ("train_xl.jsonl", "dev.jsonl"):
        (data / name).write_text("\n".join(map(json.dumps, rows)))
    return folder


def talk_of(folder: Path, checkpoint: str = "small") -> Conversation:
    task = load(discover().installed["task"]["winogrande"], SETTINGS)
    place = Pretrained(str(folder / "models" / checkpoint))
    return Conversation(task, None, [], RunOptions(data_dir=str(folder / "data"), pretrained=place), 0)


def test_scores_are_mean_log_probabilities_of_masked_fillers(folder: Path) -> None:
    from transformers import AutoTokenizer, RobertaForMaskedLM

    talk = talk_of(folder)
    model = talk.build_model().eval()
    plain = RobertaForMaskedLM.from_pretrained(folder / "models" / "small").eval()
    tokenizer = AutoTokenizer.from_pretrained(folder / "models" / "small")
    right, wrong = masked_words.scores(model, talk.collate(list(talk.data["test"][:6])))
    lengths = set()
    for number in range(6):
        each = row(number)
        expected = []
        for option in ("option1", "option2"):
            # the whole sentence tokenised at once, its filler found by offsets
            start = each["sentence"].index("_")
            text = each["sentence"].replace("_", each[option])
            coded = tokenizer(text, return_offsets_mapping=True)
            end = start + len(each[option])
            # a blank that is a token of its own has the empty span at the filler's start
            inside = [i for i, (a, b) in enumerate(coded["offset_mapping"]) if start <= a and b <= end]
            ids = torch.tensor([coded["input_ids"]])
            masked = ids.clone()
            masked[0, inside] = tokenizer.mask_token_id
            chances = plain(input_ids=masked).logits[0].log_softmax(-1)
            expected.append(torch.stack([chances[i, ids[0, i]] for i in inside]).mean())
            lengths.add(len(inside))
        first, other = expected if each["answer"] == "1" else expected[::-1]
        torch.testing.assert_close(right[number], first)
        torch.testing.assert_close(wrong[number], other)
    assert len(lengths) > 1  # fillers of several lengths were met


def test_scores_do_not_depend_on_batches(folder: Path) -> None:
    talk = talk_of(folder)
    model = talk.build_model().eval()
    sentences = list(talk.data["test"])
    assert len({len(ids) for sentence in sentences for ids in sentence.inputs}) > 1
    together = masked_words.scores(model, talk.collate(sentences))
    alone = [masked_words.scores(model, talk.collate([sentence])) for sentence in sentences]
    for side in (0, 1):
        torch.testing.assert_close(together[side], torch.cat([pair[side] for pair in alone]))


def test_words_are_predicted_for_the_fillers_places_alone(folder: Path) -> None:
    talk = talk_of(folder)
    model: Any = talk.build_model().eval()
    seen: list[torch.Size] = []
    model.lm_head.register_forward_pre_hook(lambda module, given: seen.append(given[0].shape))
    batch = talk.collate(list(talk.data["test"][:5]))
    masked_words.scores(model, batch)
    assert seen == [(1, int((batch["targets"] >= 0).sum()), model.config.hidden_size)]
    whole = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    assert whole.shape[:2] == batch["input_ids"].shape  # outside of the scoring the model is as it was


def test_the_loss_is_that_of_the_recipe(folder: Path) -> None:
    talk = talk_of(folder)
    model = talk.build_model().eval()
    batch = talk.collate(list(talk.data["train"][:5]))
    right, wrong = masked_words.scores(model, batch)
    pairs = zip(right.tolist(), wrong.tolist(), strict=True)
    by_hand = [-q + 5.0 * max(0.0, c - q + 0.4) for q, c in pairs]
    assert float(talk.loss(model, batch).detach()) == pytest.approx(sum(by_hand) / 5, rel=1e-5)


def test_predictions_name_the_option(folder: Path) -> None:
    talk = talk_of(folder)
    outcomes, value = talk.evaluate(talk.build_model(), "test")
    answers = torch.tensor([int(row(number)["answer"]) - 1 for number in range(48)])
    assert torch.equal((outcomes.predictions == answers).float(), outcomes.values.flatten().float())
    assert value == pytest.approx(float(outcomes.values.mean()))
    assert outcomes.groups[:4] == ["PAIR0", "PAIR0", "PAIR1", "PAIR1"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"sentence": "no place here"}, "no blank in 'no place here'"), ({"answer": ""}, "the answer is ''")],
)
def test_a_row_that_cannot_be_asked_is_refused(change: dict[str, str], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        winogrande(row(0) | change, 1, lambda text: [1], None)


def test_a_checkpoint_without_the_language_model_head_is_refused(folder: Path) -> None:
    from transformers import RobertaConfig, RobertaModel

    place = folder / "models" / "headless"
    RobertaModel(RobertaConfig.from_pretrained(folder / "models" / "small")).save_pretrained(place)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (place / name).write_text((folder / "models" / "small" / name).read_text())
    with pytest.raises(
        UsageError, match=r"^winogrande: .*headless lacks 'lm_head.* a checkpoint of a RobertaForMaskedLM"
    ):
        talk_of(folder, "headless").build_model()


def test_it_trains_and_is_pruned_but_for_the_dense_layer_of_the_head(command: Command, folder: Path) -> None:
    settings = [word for name, value in SETTINGS.items() for word in ("--set", f"winogrande.{name}={value}")]
    folders = ["--data-dir", str(folder / "data"), "--model-dir", str(folder / "models")]
    plan = ["--tasks", "winogrande", "--pruners", "magnitude-after", "--levels", "0.5", "-n", "0", "--no-dense-check"]
    done = command(*plan, *folders, *settings, "--json", "out.json")
    assert done.code == 0, done.err
    (cell,) = json.loads(Path("out.json").read_text())["cells"]
    assert cell["verdict"] in ("pass", "fail")
    assert "roberta.embeddings.word_embeddings.weight" in cell["densities"]
    assert not [name for name in cell["densities"] if "lm_head" in name]
