"""Fewer examples at a time where memory runs out, and the same results."""

from __future__ import annotations

import pytest
import torch

from smc_harness.conversation.memory import outputs, tokens_at_once

WORDS = ["a", "bbbb", "cc", "ddddd", "e", "ffffff", "ggg"]


def test_results_come_in_the_order_of_the_examples_whatever_the_batches() -> None:
    for size in (1, 2, 3, 7, 100):
        for length in (None, len):
            assert outputs(WORDS, size, list, lambda batch: [w.upper() for w in batch], length) == [
                word.upper() for word in WORDS
            ]


def test_batches_hold_examples_of_similar_length_the_longest_first() -> None:
    seen: list[list[int]] = []

    def function(batch: list[str]) -> list[str]:
        seen.append([len(word) for word in batch])
        return batch

    outputs(WORDS, 3, list, function, len)
    assert seen == [[6, 5, 4], [3, 2, 1], [1]]


def test_where_memory_runs_out_it_is_half_as_many() -> None:
    tried: list[int] = []

    def function(batch: list[str]) -> list[str]:
        tried.append(len(batch))
        if len(batch) > 2:
            raise torch.OutOfMemoryError("too many")
        return batch

    assert outputs(WORDS, 6, list, function) == WORDS
    assert tried == [6, 3, 1, 1, 1, 1, 1, 1, 1]


def seen_with(tokens: int, words: list[str] = WORDS) -> list[list[int]]:
    """Lengths of the words in each batch of so many tokens."""
    seen: list[list[int]] = []

    def function(batch: list[str]) -> list[str]:
        seen.append([len(word) for word in batch])
        return [word.upper() for word in batch]

    assert outputs(words, None, list, function, len, tokens) == [word.upper() for word in words]
    return seen


def test_without_a_size_a_batch_holds_so_many_tokens_with_its_padding() -> None:
    assert seen_with(12) == [[6, 5], [4, 3, 2], [1, 1]]
    assert seen_with(3) == [[6], [5], [4], [3], [2], [1, 1]]


def test_an_example_without_tokens_is_one_of_the_batch() -> None:
    assert seen_with(3, ["", "aa", "", "", ""]) == [[2], [0, 0, 0], [0]]


def test_where_memory_runs_out_it_is_half_as_many_tokens() -> None:
    tried: list[list[int]] = []

    def function(batch: list[str]) -> list[str]:
        tried.append([len(word) for word in batch])
        if sum(tried[-1]) > 7:
            raise torch.OutOfMemoryError("too many")
        return batch

    assert outputs(WORDS, None, list, function, len, 24) == WORDS
    assert tried == [[6, 5, 4, 3], [6, 5], [6], [5], [4], [3, 2], [1, 1]]


def test_neither_a_size_nor_a_length_is_refused() -> None:
    with pytest.raises(ValueError, match="neither a size nor a length of the examples is given"):
        outputs(WORDS, None, list, lambda batch: batch)


def test_a_gpu_gets_more_at_once_than_a_cpu() -> None:
    assert tokens_at_once(torch.device("cpu")) < tokens_at_once(torch.device("cuda", 1))


def test_one_example_that_does_not_fit_is_an_error() -> None:
    def function(batch: list[str]) -> list[str]:
        raise torch.OutOfMemoryError("no room at all")

    with pytest.raises(torch.OutOfMemoryError, match="no room at all"):
        outputs(WORDS, 4, list, function)


def test_a_wrong_number_of_results_is_refused() -> None:
    with pytest.raises(ValueError, match="1 results for a batch of 3 examples"):
        outputs(WORDS, 3, list, lambda batch: batch[:1])
