"""The benchmark of ten levels, on a tiny BERT: both sides run, and what differs is found."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks import sweep

WORDS = [*"qa:?.", "where", "is", "the", "lion", "bank", "shop", "zoo", "farm", "mall", "of", "big", "city"]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tmp_path_factory.mktemp("encoder")
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary = {word: number for number, word in enumerate([*special, *WORDS])}
    BertTokenizerFast(vocab=vocabulary, model_max_length=128).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=128, initializer_range=0.4,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture
def words(encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the benchmark is told: twelve questions with five choices, the fifth right in some."""
    monkeypatch.setattr(sweep, "QUESTIONS", 12)
    monkeypatch.setattr(sweep, "PAPER_LEVELS", (0.2, 0.488))
    rows = []
    for number in range(12):
        places = ["bank", "shop of a city", "zoo", "farm", "big mall"]
        choices = [{"label": label, "text": text} for label, text in zip("ABCDE", places, strict=True)]
        asked = {"stem": "where is the" + " big" * (number % 4) + " lion ?", "choices": choices}
        rows.append({"id": str(number), "question": asked, "answerKey": "ABCDE"[number % 5]})
    (tmp_path / "questions.jsonl").write_text("\n".join(map(json.dumps, rows)))
    told = ["--model", str(encoder), "--data-dir", str(tmp_path), "--questions", "questions.jsonl", "--rounds", "1"]
    return ["sweep", *told, "--json", str(tmp_path / "out.json")]


def test_both_sides_give_the_same_answers_and_ratios_are_told(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", words)
    assert sweep.main() in (0, 1)
    found = json.loads((tmp_path / "out.json").read_text())
    assert [ratio["what"] for ratio in found["ratios"]] == ["script / ours", "ours / bare products"]
    assert found["checked"] == ["the answers to 12 questions at 0.2, 0.488"]
    assert found["figures"]["sequences"].startswith("48, ")


def test_answers_that_differ_end_it(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    level = sweep.Script.level
    monkeypatch.setattr(sweep.Script, "level", lambda self, at: (level(self, at) + (at == 0.488)) % 4)
    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(SystemExit, match="level 0.488: 12 of 12 answers differ"):
        sweep.main()


def test_every_product_of_a_level_is_counted_once(words: list[str], tmp_path: Path) -> None:
    sweep.prepare(Path(words[2]), tmp_path / "questions.jsonl", tmp_path)
    found = sweep.bare(sweep.Ours(tmp_path))
    by_hand = 2 * 4 * 16 * 16 + 2 * 2 * 16 * 32  # four square and two wide matrices in each of two layers
    linear = [(left, right) for left, right in found.products if left.dim() == 2 and right.shape[1] > 1]
    tokens = sum(left.shape[0] * right.numel() for left, right in linear) - 48 * 16 * 16  # the pooler's
    assert tokens == found.tokens * by_hand
    attention = [left for left, _ in found.products if left.dim() == 3]
    assert sum(left.shape[0] * left.shape[1] for left in attention) == found.tokens * 2 * 2 * 2  # heads, layers, two
