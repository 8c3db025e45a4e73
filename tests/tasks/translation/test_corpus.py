"""Training pairs: what is kept, how they are drawn, how they are batched."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from smc_tasks.translation.corpus import Corpus, Sentences, temperature_draw, to_score, to_train, token_batches
from smc_tasks.translation.examples import END
from smc_tasks.translation.pieces import Pieces, learned

TEXTS = {
    "a": {"en": ["one two", "three", "", "four five six seven"], "de": ["eins zwei", "drei", "leer", "vier"]},
    "b": {"en": ["eight"], "fr": ["huit"]},
}


@pytest.fixture(scope="module")
def pieces() -> Pieces:
    lines = [line for part in TEXTS.values() for texts in part.values() for line in texts]
    return learned(lines, 400, ["en", "de", "fr"])


@pytest.fixture(scope="module")
def corpus(pieces: Pieces) -> Corpus:
    return to_train(TEXTS, pieces, "en", longest=8)


@given(st.lists(st.lists(st.integers(0, 250_000), max_size=5), max_size=8))
def test_sentences_end_to_end_are_the_sentences(rows: list[list[int]]) -> None:
    sentences = Sentences(rows)
    assert [sentences[index] for index in range(len(rows))] == rows


def test_pairs_with_an_empty_or_too_long_side_are_left_out(corpus: Corpus, pieces: Pieces) -> None:
    assert len(pieces.encode(["four five six seven"])[0]) > 8
    assert corpus.sizes == [2, 2, 1, 1]
    assert [example.id for example in corpus] == [
        "a:0:en-de", "a:1:en-de", "a:0:de-en", "a:1:de-en", "b:0:en-fr", "b:0:fr-en"
    ]  # fmt: skip


def test_an_example_reads_back_as_its_sentences(corpus: Corpus, pieces: Pieces) -> None:
    example = corpus[3]
    assert pieces.decode([example.source.tolist(), example.target.tolist()]) == ["drei", "three"]
    assert example.source[-2:].tolist() == [END, pieces.languages["de"]]
    assert (example.target[0], example.target[-1]) == (pieces.languages["en"], END)


def test_lengths_and_labels_are_those_of_the_examples(corpus: Corpus) -> None:
    assert corpus.lengths.tolist() == [max(len(e.source), len(e.target)) for e in corpus]
    assert corpus.labels_per_sentence == pytest.approx(sum(len(e.target) - 1 for e in corpus) / len(corpus))


def test_an_index_past_the_end_is_refused(corpus: Corpus) -> None:
    assert corpus[-1] is not None and len(corpus[1:3]) == 2
    with pytest.raises(IndexError):
        corpus[len(corpus)]


def test_scored_directions_take_turns_and_keep_their_references(pieces: Pieces) -> None:
    found = to_score(TEXTS, pieces, "en", longest=8)
    assert [(e.direction, e.reference) for e in found[:4]] == [
        ("en-de", "eins zwei"), ("de-en", "one two"), ("en-fr", "huit"), ("fr-en", "eight")
    ]  # fmt: skip
    longest = next(e for e in found if e.reference == "vier")
    assert len(longest.source) == 8 + 2
    assert not any(e.group == "a:2" for e in found)


def test_every_letter_survives_learned_pieces(pieces: Pieces) -> None:
    text = "Ünïcödé 数学 ဗမာ 🙂"
    assert pieces.decode(pieces.encode([text])) == [text]


def test_learning_the_pieces_again_gives_the_same(pieces: Pieces) -> None:
    lines = [line for part in TEXTS.values() for texts in part.values() for line in texts]
    assert learned(lines, 400, ["en", "de", "fr"]).tokenizer.get_vocab() == pieces.tokenizer.get_vocab()


@pytest.mark.parametrize("temperature", [1.0, 1.5, 5.0])
def test_directions_are_drawn_by_their_tempered_share(temperature: float) -> None:
    sizes = [1000, 100, 10]
    draws = temperature_draw(sizes, temperature, 40_000, torch.Generator().manual_seed(1))
    shares = [((draws >= a) & (draws < b)).double().mean().item() for a, b in [(0, 1000), (1000, 1100), (1100, 1110)]]
    weights = [size ** (1 / temperature) for size in sizes]
    for share, weight in zip(shares, weights, strict=True):
        expected = weight / sum(weights)
        assert share == pytest.approx(expected, abs=5 * (expected * (1 - expected) / 40_000) ** 0.5)


@given(st.lists(st.integers(1, 30), min_size=1, max_size=4), st.integers(1, 100), st.integers(0, 9))
def test_a_pair_comes_again_only_after_all_of_its_direction(sizes: list[int], draws: int, seed: int) -> None:
    found = temperature_draw(sizes, 2.0, draws, torch.Generator().manual_seed(seed))
    assert len(found) == draws
    first = 0
    for size in sizes:
        times = torch.bincount(found[(found >= first) & (found < first + size)] - first, minlength=size)
        assert times.max() - times.min() <= 1
        first += size


@given(st.lists(st.integers(1, 40), min_size=1, max_size=60), st.integers(1, 120), st.integers(0, 9))
def test_batches_hold_every_draw_once_within_the_budget(lengths: list[int], tokens: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    numbers = torch.randint(len(lengths), (80,), generator=generator)
    batches = list(token_batches(numbers, torch.tensor(lengths), tokens, generator))
    assert sorted(number for batch in batches for number in batch) == sorted(numbers.tolist())
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[number] for number in batch) <= tokens
