"""Facts to be memorised, asked as multiple-choice questions in the schema of CommonsenseQA.

A fact says that an entity has a value under a relation; all values are drawn at random, so nothing but memory
helps. A question names entity and relation and offers the true value among four others.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from smc_tasks._classification import Example
from smc_tasks._words import Vocabulary, invented_words

if TYPE_CHECKING:
    from smc_tasks.commonsense.mini import CommonsenseMiniParams

LABELS = "ABCDE"
SPECIALS = ("<s>", "<pad>", "</s>")  # the first ids of RoBERTa's own vocabulary


class World(NamedTuple):
    """The invented entities, relations and values, and {(entity, relation): value}."""

    entities: list[str]
    relations: list[str]
    values: list[str]
    facts: dict[tuple[str, str], str]


def invent_world(params: CommonsenseMiniParams) -> World:
    """Draw the facts; they follow `data_seed` alone."""
    chance = random.Random(f"commonsense-mini facts {params.data_seed}")
    words = invented_words(params.entities + params.relations + params.values, chance)
    entities = words[: params.entities]
    relations = words[params.entities : params.entities + params.relations]
    values = words[params.entities + params.relations :]
    facts = {(entity, relation): chance.choice(values) for entity in entities for relation in relations}
    return World(entities, relations, values, facts)


def questions(params: CommonsenseMiniParams) -> dict[str, list[dict[str, Any]]]:
    """{"train": records, "test": records} in CommonsenseQA's schema.

    Both splits ask every fact, one draw of distractors after the other, so that the first questions of a split cover
    all facts. No two questions about a fact, of whichever split, offer the same five choices.
    """
    world = invent_world(params)
    chance = random.Random(f"commonsense-mini questions {params.data_seed}")
    offered: set[tuple[str, frozenset[str]]] = set()
    splits: dict[str, list[dict[str, Any]]] = {"train": [], "test": []}
    for split, draws in (("train", params.train_draws), ("test", params.test_draws)):
        for draw in range(draws):
            for number, ((entity, relation), answer) in enumerate(world.facts.items()):
                stem = f"{entity} {relation}"
                choices = _choices(answer, world.values, chance)
                while (stem, frozenset(choices)) in offered:
                    choices = _choices(answer, world.values, chance)
                offered.add((stem, frozenset(choices)))
                labelled = [{"label": label, "text": text} for label, text in zip(LABELS, choices, strict=True)]
                splits[split].append(
                    {
                        "id": f"{split}-fact{number}-{draw}",
                        "question": {"stem": stem, "question_concept": entity, "choices": labelled},
                        "answerKey": LABELS[choices.index(answer)],
                    }
                )
    return splits


def _choices(answer: str, values: list[str], chance: random.Random) -> list[str]:
    """The answer and four other values, in random order."""
    drawn: list[str] = []
    while len({answer, *drawn}) < len(LABELS):
        drawn = chance.choices(values, k=len(LABELS) - 1)  # several times as quick as `sample`
    drawn.insert(chance.randrange(len(LABELS)), answer)
    return drawn


def vocabulary(params: CommonsenseMiniParams) -> Vocabulary:
    """Every word of the world after the special tokens."""
    world = invent_world(params)
    return Vocabulary(SPECIALS, [*world.entities, *world.relations, *world.values])


def tokenise(records: list[dict[str, Any]], words: Vocabulary) -> list[Example]:
    """One row `<s> entity relation choice </s>` for each choice: input_ids [5, 5]."""
    end = words.ids["</s>"]
    rows: list[int] = []
    for record in records:
        question = record["question"]
        start = words.encode(["<s>", *question["stem"].split()])
        for choice in question["choices"]:
            rows += (*start, words.ids[choice["text"]], end)
    stacked = torch.tensor(rows).view(len(records), len(LABELS), -1)
    return [
        Example(record["id"], record["question"]["stem"], input_ids, LABELS.index(record["answerKey"]))
        for record, input_ids in zip(records, stacked, strict=True)
    ]
