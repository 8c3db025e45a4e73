"""Many-to-many translation: checkpoints in the real format, the loss, decoding, the metric, whole runs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from smc_tasks.translation import opus
from smc_tasks.translation.examples import END, IGNORED
from smc_tasks.translation.mbart import decode
from smc_tasks.translation.opus import OPUS, OPUS_COMMIT, TEN, TranslationParams, opus_2to2
from smc_tasks.translation.training import InverseSquareRoot

from smc_harness import Pretrained
from smc_harness.conversation.conversation import Conversation
from smc_harness.conversation.options import RunOptions
from smc_harness.discovery.catalogue import discover
from smc_harness.discovery.loading import load
from smc_harness.errors import UsageError
from tests.checkpoints import mbart

Command = Callable[..., Any]
NUMBERS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
ZAHLEN = ["eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun", "zehn"]
NOMBRES = ["un", "deux", "trois", "quatre", "cinq", "six", "sept", "huit", "neuf", "dix"]


def row(number: int) -> dict[str, str]:
    """A sentence of two to four words in three languages."""
    chosen = [number % 10, number // 10 % 10, number // 3 % 10, number // 7 % 10][: 2 + number % 3]
    words = {"en": NUMBERS, "de": ZAHLEN, "fr": NOMBRES}
    return {language: " ".join(texts[index] for index in chosen) for language, texts in words.items()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("translation")
    for name, rows in (("train", range(100)), ("test", range(100, 112))):
        (folder / f"{name}.jsonl").write_text("\n".join(json.dumps(row(number)) for number in rows))
    mbart(folder / "models" / "small", [text for number in range(100) for text in row(number).values()])
    return folder


SETTINGS = {"languages": "de,fr", "train": "train.jsonl", "test": "test.jsonl", "longest": "20", "steps": "30",
            "batch_tokens": "120", "beams": "2", "learning_rate": "3e-3", "warmup": "5", "dropout": "0.1"}  # fmt: skip
SCRATCH = SETTINGS | {"model": "scratch", "pieces": "300", "hidden": "48", "layers": "1", "feed_forward": "96",
                      "steps": "300", "batch_tokens": "300", "learning_rate": "4e-3", "warmup": "20", "dropout": "0",
                      "label_smoothing": "0.01"}  # fmt: skip


def converse(folder: Path, settings: dict[str, str], checkpoint: bool = False) -> Conversation:
    place = Pretrained(str(folder / "models" / "small")) if checkpoint else None
    plugin = load(discover().installed["task"]["opus-2to2"], settings)
    return Conversation(plugin, None, (), RunOptions(data_dir=str(folder), pretrained=place), 0)


@pytest.fixture(scope="module")
def talk(folder: Path) -> Conversation:
    return converse(folder, SETTINGS | {"model": "small"}, checkpoint=True)


def test_a_checkpoint_gives_the_logits_of_the_plain_model(talk: Conversation, folder: Path) -> None:
    from transformers import AutoTokenizer, MBartForConditionalGeneration

    name = folder / "models" / "small"
    plain = MBartForConditionalGeneration.from_pretrained(name).eval()
    tokenizer = AutoTokenizer.from_pretrained(name, src_lang="en_XX", tgt_lang="de_DE")
    inputs = tokenizer([row(100)["en"]], text_target=[row(100)["de"]], return_tensors="pt")
    example = next(e for e in talk.data["test"] if e.direction == "en-de")
    assert example.source.tolist() == inputs["input_ids"][0].tolist()
    assert example.target[1:].tolist() == inputs["labels"][0, :-1].tolist()
    model: Any = talk.build_model().eval()
    batch = talk.collate([example])
    with torch.no_grad():
        ours = model(**{key: batch[key] for key in ("input_ids", "decoder_input_ids")}).logits
        theirs = plain(**inputs).logits
    # theirs goes on to predict the language after the end, which nobody reads
    torch.testing.assert_close(ours, theirs[:, : ours.shape[1]])


def test_the_task_decides_how_a_checkpoint_decodes_and_drops_out(talk: Conversation) -> None:
    model: Any = talk.build_model()
    assert model.config.dropout == 0.1
    assert model.generation_config.num_beams in (None, 1) and model.generation_config.forced_eos_token_id is None


def test_the_loss_is_that_of_torch_over_all_tokens_as_a_share_of_the_mean_sentence(talk: Conversation) -> None:
    model: Any = talk.build_model().eval()
    examples = [talk.data["train"][index] for index in (0, 70, 150, 333)]
    batch = talk.collate(examples)
    logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"],
                   decoder_input_ids=batch["decoder_input_ids"]).logits  # fmt: skip
    labels = batch["labels"].flatten()
    total = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1)[labels != IGNORED], labels[labels != IGNORED], label_smoothing=0.2, reduction="sum"
    )
    mean_length = sum(len(e.target) - 1 for e in talk.data["train"]) / len(talk.data["train"])
    assert talk.loss(model, batch).item() == pytest.approx(total.item() / 4 / mean_length, rel=1e-5)


def test_gradient_checkpointing_computes_again_and_changes_nothing(folder: Path) -> None:
    found = []
    for again in ("false", "true"):
        talk = converse(folder, SCRATCH | {"dropout": "0.2", "gradient_checkpointing": again})
        model: Any = talk.build_model().train()
        calls: list[int] = []
        model.model.encoder.layers[0].fc1.register_forward_hook(lambda *_, calls=calls: calls.append(1))
        torch.manual_seed(0)
        talk.loss(model, talk.collate(list(talk.data["train"][:8]))).backward()
        found.append((len(calls), [parameter.grad for parameter in model.parameters() if parameter.grad is not None]))
    (once, plain), (twice, checkpointed) = found
    assert (once, twice) == (1, 2)
    assert all(torch.equal(one, other) for one, other in zip(plain, checkpointed, strict=True))


def test_losses_of_parts_of_a_batch_add_up(talk: Conversation) -> None:
    model = talk.build_model().eval()
    examples = [talk.data["train"][index] for index in range(0, 400, 50)]
    parts = [talk.loss(model, talk.collate(examples[start : start + 2])).item() for start in range(0, 8, 2)]
    assert talk.loss(model, talk.collate(examples)).item() == pytest.approx(sum(parts) / 4, rel=1e-5)


def trained(talk: Conversation) -> Any:
    """A model that has learned something, but makes mistakes."""
    model = talk.build_model()
    recipe = talk.recipe(retraining=False)
    optimizer = recipe.optimizer([{"params": list(model.parameters())}])
    generator = torch.Generator().manual_seed(0)
    assert recipe.batch_order is not None
    for _ in range(12):
        for indices in recipe.batch_order(len(talk.data["train"]), recipe.batch_size, generator):
            optimizer.zero_grad()
            talk.loss(model, talk.collate([talk.data["train"][index] for index in indices])).backward()
            optimizer.step()
    return model.eval()


@pytest.fixture(scope="module")
def learner(talk: Conversation) -> Any:
    return trained(talk)


@pytest.mark.parametrize("beams", [1, 3])
def test_decoding_a_batch_is_decoding_each_alone(talk: Conversation, learner: Any, beams: int) -> None:
    examples = list(talk.data["test"][:12])
    with torch.no_grad():
        together = decode(learner, talk.collate(examples), 20, beams)
        alone = [decode(learner, talk.collate([example]), 20, beams)[0] for example in examples]
    assert together == alone
    assert len({tuple(tokens) for tokens in alone}) > 4 and any(END in tokens for tokens in alone)


def test_the_metric_is_the_mean_of_sacrebleus_command_line_over_the_directions(folder: Path, tmp_path: Path) -> None:
    talk = converse(folder, SCRATCH)
    model = trained(talk)
    _, value = talk.evaluate(model, "test")
    examples = talk.data["test"]
    with torch.no_grad():
        decoded = [decode(model, talk.collate([example]), 20, 2)[0] for example in examples]
    hypotheses = talk.data["train"].pieces.decode(decoded)  # type: ignore[attr-defined]
    scores = []
    for direction in ("en-de", "de-en", "en-fr", "fr-en"):
        chosen = [index for index, example in enumerate(examples) if example.direction == direction]
        (tmp_path / "references").write_text("".join(f"{examples[index].reference}\n" for index in chosen))
        (tmp_path / "hypotheses").write_text("".join(f"{hypotheses[index]}\n" for index in chosen))
        words = [sys.executable, "-m", "sacrebleu", "references", "-i", "hypotheses", "-b", "-w", "6"]
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True)
        scores.append(float(done.stdout))
        assert talk.task.logged[f"BLEU {direction}"] == pytest.approx(scores[-1], abs=1e-6)
    assert value == pytest.approx(sum(scores) / 4, abs=1e-6) and value > 0


def test_the_signature_of_the_score_is_kept(talk: Conversation) -> None:
    talk.evaluate(talk.build_model(), "test")
    assert str(talk.task.logged["bleu"]).startswith("nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:")


def test_the_rate_rises_and_falls_as_the_inverse_square_root() -> None:
    schedule = InverseSquareRoot(4)
    assert [schedule(step, 100) for step in (0, 1, 3, 15)] == [0.25, 0.5, 1.0, 0.5]
    assert InverseSquareRoot(0)(0, 100) == 1.0


def test_the_recipe_is_the_papers() -> None:
    params = TranslationParams()
    assert (params.learning_rate, params.warmup, params.steps, params.dropout) == (3e-5, 2500, 40_000, 0.3)
    assert (params.label_smoothing, params.temperature, params.batch_tokens) == (0.2, 1.5, 2048)


def test_two_languages_are_trained_and_ten_scored() -> None:
    assert opus_2to2.languages("train", TranslationParams()) == ("fr", "cs")
    assert opus_2to2.languages("test", TranslationParams()) == TEN
    assert opus_2to2.languages("test", TranslationParams(languages="de")) == ("de",)


def test_opus_100_is_expected_as_it_is_distributed(tmp_path: Path) -> None:
    context: Any = SimpleNamespace(params=TranslationParams(), data_dir=tmp_path)
    names = opus_2to2.data_files(context)
    assert names[:2] == [f"{opus.OPUS_FOLDER}/en-fr/opus.en-fr-train.{language}" for language in ("en", "fr")]
    assert len(names) == 2 * 2 + 10 * 2 and f"{opus.OPUS_FOLDER}/cs-en/opus.cs-en-test.cs" in names


def test_without_local_files_the_pairs_come_from_the_hub_at_a_fixed_commit(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def load_dataset(name: str, config: str, split: str, revision: str) -> list[Any]:
        asked.append((name, config, split, revision))
        return [{"translation": row(number)} for number in range(20)]

    monkeypatch.setattr("datasets.load_dataset", load_dataset)
    settings = SCRATCH | {"train": "", "test": ""}
    plugin = load(discover().installed["task"]["opus-2to2"], settings)
    found = Conversation(plugin, None, (), RunOptions(), 0).data
    assert asked == [(OPUS, pair, split, OPUS_COMMIT) for split in ("train", "test") for pair in ("de-en", "en-fr")]
    assert (len(found["train"]), len(found["test"])) == (80, 80)


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ({"languages": "de,klingon!"}, "'klingon!' is no language"),
        ({"dropout": 1.0}, "dropout=1.0: expected a number below 1"),
        ({"label_smoothing": -0.1}, "label_smoothing=-0.1: expected 0 or more"),
        ({"heads": 3}, "hidden=128: expected a multiple of heads=3"),
        ({"steps": -1}, "steps=-1: expected 0 or more"),
        (
            {"steps": 0, "model": "scratch"},
            "steps=0: a model from scratch must be trained",
        ),
    ],
)
def test_impossible_parameters_are_refused(setting: dict[str, Any], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        TranslationParams(**setting)


def test_opus_100_without_english_is_refused() -> None:
    context: Any = SimpleNamespace(params=TranslationParams(pivot="none"), data_dir=None)
    with pytest.raises(UsageError, match="OPUS-100 has English on one side of every pair; pivot=en would work"):
        opus_2to2.data_files(context)


def test_a_language_that_the_checkpoint_does_not_know_is_named(folder: Path) -> None:
    (folder / "hausa.jsonl").write_text(json.dumps({"translation": {"en": "One.", "hau": "Ɗaya."}}))
    files = {"languages": "hau", "train": "hausa.jsonl", "test": "hausa.jsonl", "model": "small"}
    with pytest.raises(UsageError, match="small does not know ha; its languages: ar, cs, de, en"):
        converse(folder, SETTINGS | files, checkpoint=True).data  # noqa: B018


def test_sentences_longer_than_the_checkpoint_reads_are_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match="longest=100, but the checkpoint reads 64 tokens; longest=62 would work"):
        converse(folder, SETTINGS | {"model": "small", "longest": "100"}, checkpoint=True).build_model()


def arguments(folder: Path, settings: dict[str, str], *more: str) -> list[str]:
    sets = [word for key, value in settings.items() for word in ("--set", f"opus-2to2.{key}={value}")]
    return [
        "--tasks",
        "opus-2to2",
        "--data-dir",
        str(folder),
        *sets,
        "--no-dense-check",
        "-n",
        "0",
        "--json",
        "out.json",
        *more,
    ]


def test_a_checkpoint_is_fine_tuned_pruned_and_scored(folder: Path, command: Command) -> None:
    settings = SETTINGS | {"model": "small"}
    more = ("--model-dir", str(folder / "models"), "--pruners", "magnitude-after,snip", "--levels", "0.3")
    ran = command(*arguments(folder, settings, *more))
    assert ran.code == 0, ran.out + ran.err
    report = json.loads(Path("out.json").read_text())
    assert [cell["value"] is not None for cell in report["cells"]] == [True, True]
    assert report["tasks"]["opus-2to2"]["n"] == 48


def test_a_small_model_learns_from_scratch_in_all_directions(folder: Path, command: Command) -> None:
    settings = SCRATCH | {"pivot": "none", "languages": "en,de,fr", "beams": "1"}
    ran = command(*arguments(folder, settings, "--pruners", "magnitude-after", "--levels", "0.2", "--limit", "60"))
    assert ran.code == 0, ran.out + ran.err
    assert json.loads(Path("out.json").read_text())["tasks"]["opus-2to2"]["dense"] > 20
