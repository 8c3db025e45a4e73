"""language-modeling-mini: what its stories promise, and the best that any model can do on them."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import pytest
from smc_tasks.language_modeling.mini import LanguageModelingMini, LanguageModelingMiniParams
from smc_tasks.language_modeling.mini_data import BEGIN, STOP, documents

from smc_harness.conversation.options import RunOptions
from smc_harness.discovery.catalogue import discover
from smc_harness.discovery.loading import load
from smc_harness.errors import UsageError
from smc_harness.lifecycle.trajectory import Trajectory
from smc_harness.store.artifacts import Artifacts

PARAMS = LanguageModelingMiniParams(entities=12, values=9, train_documents=400, test_documents=100, sentences=5)


def sentences(tokens: list[int]) -> list[list[int]]:
    assert tokens[0] == BEGIN
    return [tokens[place : place + 4] for place in range(1, len(tokens), 4)]


def test_a_fact_is_the_same_in_every_document_of_either_split() -> None:
    facts: dict[tuple[int, int], set[int]] = {}
    for split in documents(PARAMS).values():
        for window in split:
            for entity, relation, value, stop in sentences(window.tokens.tolist()):
                assert 2 <= entity < 14 <= relation < 22 <= value < 31 and stop == STOP
                facts.setdefault((entity, relation), set()).add(value)
    assert len(facts) == 12 * 8 and all(len(values) == 1 for values in facts.values())


def test_after_an_entity_come_few_others() -> None:
    after: dict[int, set[int]] = {}
    for window in documents(PARAMS)["train"]:
        told = [sentence[0] for sentence in sentences(window.tokens.tolist())]
        for entity, following in pairwise(told):
            after.setdefault(entity, set()).add(following)
    assert {len(others) for others in after.values()} == {4}


def test_the_floor_lies_between_a_guess_and_the_best_that_there_is() -> None:
    params = LanguageModelingMiniParams()
    follower = [1 / rank for rank in range(1, params.followers + 1)]
    chances = [part / sum(follower) for part in follower]
    of_follower = -sum(chance * math.log(chance) for chance in chances)
    nats = (
        math.log(params.entities) + (params.sentences - 1) * of_follower + params.sentences * math.log(params.relations)
    )
    best = math.exp(nats / (4 * params.sentences))
    floor, guess = LanguageModelingMini.floor(params), LanguageModelingMini.chance(params)
    assert guess == 170.0 and 2.4 < best < 2.5 and best < floor < guess


def test_more_followers_than_entities_are_refused() -> None:
    with pytest.raises(UsageError, match="followers=4: expected at most entities=3"):
        LanguageModelingMiniParams(entities=3)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_dense_model_comes_near_the_best_that_there_is(tmp_path: Path, seed: int) -> None:
    task = load(discover().installed["task"]["language-modeling-mini"])
    walk = Trajectory(task, None, [], RunOptions(), seed, Artifacts(tmp_path), lambda *_: None)
    assert walk.measure(None).value < 2.6
