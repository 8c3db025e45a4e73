"""Fewer examples at a time where memory runs out, and the same results."""

from __future__ import annotations

import pytest
import torch

from smc_harness.conversation.memory import outputs

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


def test_one_example_that_does_not_fit_is_an_error() -> None:
    def function(batch: list[str]) -> list[str]:
        raise torch.OutOfMemoryError("no room at all")

    with pytest.raises(torch.OutOfMemoryError, match="no room at all"):
        outputs(WORDS, 4, list, function)


def test_a_wrong_number_of_results_is_refused() -> None:
    with pytest.raises(ValueError, match="1 results for a batch of 3 examples"):
        outputs(WORDS, 3, list, lambda batch: batch[:1])
