"""Perplexity against a computation of its own: one window after another, one token after another, in float64."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from smc_tasks.language_modeling.windows import Window, collate, evaluate, loss, perplexity, windows
from torch import Tensor, nn

from smc_harness.conversation.conversation import Conversation
from tests.tasks.conversing import converse

TOKENS = torch.randint(0, 34, (203,), generator=torch.Generator().manual_seed(4))


@pytest.fixture(scope="module")
def talk() -> Conversation:
    return converse("language-modeling-mini", entities=14, values=10, sentences=16)


@pytest.fixture(scope="module")
def model(talk: Conversation) -> nn.Module:
    return talk.build_model().eval()


def foretold(model: nn.Module, tokens: Tensor, place: int, start: int) -> float:
    """Nats of one token, told by those from `start` on."""
    with torch.no_grad():
        logits = model(input_ids=tokens[start:place].unsqueeze(0), use_cache=False).logits[0, -1]
    return -float(logits.double().log_softmax(0)[tokens[place]])


def measured(model: nn.Module, talk: Conversation, examples: list[Window], batch: int = 3) -> float:
    talk._data = {**talk.data, "test": examples}
    with torch.no_grad():
        return perplexity(evaluate(model, "test", talk.task, batch).values)


def test_windows_that_follow_each_other_are_each_foretold_from_their_own_start(
    model: nn.Module, talk: Conversation
) -> None:
    found = measured(model, talk, windows(TOKENS, 20))
    nats = [foretold(model, TOKENS, place, place // 20 * 20) for place in range(200) if place % 20]
    assert found == pytest.approx(math.exp(sum(nats) / len(nats)), rel=1e-5)


@pytest.mark.parametrize("stride", [1, 7, 19])
def test_sliding_windows_score_what_the_one_before_did_not_have(
    model: nn.Module, talk: Conversation, stride: int
) -> None:
    found = measured(model, talk, windows(TOKENS, 20, stride))
    nats = []
    for place in range(1, len(TOKENS)):
        first = max(0, math.ceil((place - 19) / stride)) * stride  # the first window that reaches so far
        nats.append(foretold(model, TOKENS, place, first))
    assert found == pytest.approx(math.exp(sum(nats) / len(nats)), rel=1e-5)


@given(st.integers(2, 60), st.integers(2, 20), st.data())
def test_every_token_but_the_first_is_scored_once(count: int, length: int, data: st.DataObject) -> None:
    stride = data.draw(st.integers(1, length - 1))
    tokens = torch.arange(count)
    scored = [int(token) for window in windows(tokens, length, stride) for token in window.tokens[-window.scored :]]
    assert scored == list(range(1, count))


def test_what_is_left_at_the_end_is_dropped_where_windows_follow_each_other() -> None:
    found = windows(torch.arange(25), 10)
    assert [window.tokens.tolist() for window in found] == [list(range(10)), list(range(10, 20))]
    assert [window.scored for window in found] == [9, 9] and windows(torch.arange(9), 10) == []


def test_a_target_is_the_token_that_comes_next_where_that_is_scored() -> None:
    batch = collate([Window("a", "a", torch.tensor([5, 6, 7, 8]), 2), Window("b", "b", torch.tensor([1, 2]), 1)])
    assert batch["input_ids"].tolist() == [[5, 6, 7, 8], [1, 2, 0, 0]]
    assert batch["targets"].tolist() == [[-100, 7, 8, -100], [2, -100, -100, -100]]


def test_the_loss_is_that_of_transformers_for_whole_windows(model: nn.Module) -> None:
    batch = collate(windows(TOKENS, 25)[:4])
    expected = model(input_ids=batch["input_ids"], labels=batch["input_ids"]).loss
    torch.testing.assert_close(loss(model, batch), expected)


def test_a_model_beyond_all_measure_has_a_perplexity_that_is_a_number() -> None:
    assert perplexity(torch.tensor([[1e9, 10.0]])) == math.exp(100)
