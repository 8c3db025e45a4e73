"""Multiple-choice questions as they come: CommonsenseQA and RACE, from their own files or from the hub."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from smc_harness.errors import UsageError
from smc_tasks._sources import Row

Encode = Callable[[str], list[int]]
"""A text without special tokens, in ids."""


class Question(NamedTuple):
    """A question with an input of its own for every choice.

    id: stable across runs. group: questions of one group are not independent draws. choices: token ids of each input.
    label: the right choice, from 0. padding: the id that fills inputs up.
    """

    id: str
    group: str
    choices: tuple[tuple[int, ...], ...]
    label: int
    padding: int


class Special(NamedTuple):
    """Ids of the tokens that begin, end and fill up a text. longest: tokens that the model can read."""

    begin: int
    end: int
    padding: int
    longest: int


def commonsense_qa(row: Row, encode: Encode, special: Special) -> Question:
    """`<s> Q: question </s> A: choice </s>` for each choice, as in the code of SMC-Bench and fairseq.

    row: of the original files (question = {stem, choices}) or of the hub (question, choices = {label, text}).
    Raises ValueError if it is neither or has no answer.
    """
    question = row["question"]
    if isinstance(question, str):
        stem, labels, texts = question, row["choices"]["label"], row["choices"]["text"]
    else:
        stem, choices = question["stem"], question["choices"]
        labels, texts = [choice["label"] for choice in choices], [choice["text"] for choice in choices]
    first = [special.begin, *encode(f"Q: {stem}"), special.end]
    inputs = [tuple([*first, *encode(f"A: {text}"), special.end][: special.longest]) for text in texts]
    return Question(row["id"], row["id"], tuple(inputs), _place(row["answerKey"], labels), special.padding)


OPTION_LONGEST = 128
"""RACE: tokens of question and option that are kept, the first special one included."""


def race(row: Row, encode: Encode, special: Special) -> Question:
    """`<s> question with option </s> </s> article </s>`, the end of a long article cut off, as in fairseq's recipe.

    The option fills the blank of the question, or follows it. Questions about one article are one group.
    """
    article = encode(" ".join(row["article"].split()))
    inputs = []
    for option in row["options"]:
        asked = row["question"]
        text = asked.replace("_", option) if "_" in asked else f"{asked} {option}"
        first = [special.begin, *encode(" ".join(text.split())), special.end][:OPTION_LONGEST]
        inputs.append(tuple([*first, special.end, *article, special.end][: special.longest]))
    group = row["example_id"]
    return Question(f"{group}:{row['question']}", group, tuple(inputs), _place(row["answer"], "ABCD"), special.padding)


def read(rows: Sequence[Row], parse: Callable[[Row, Encode, Special], Question], source: str, *how: Any) -> list[Any]:
    """Parse all rows; two with one id are told apart by their number. Raises UsageError that names the row."""
    found: list[Any] = []
    seen: dict[str, int] = {}
    for number, row in enumerate(rows, start=1):
        try:
            question = parse(row, *how)
        except (KeyError, TypeError, ValueError) as error:
            raise UsageError(f"{source}: row {number}: {type(error).__name__}: {error}") from error
        again = seen[question.id] = seen.get(question.id, 0) + 1
        found.append(question if again == 1 else question._replace(id=f"{question.id}#{again}"))
    return found


def _place(answer: str, labels: Sequence[str]) -> int:
    if answer not in labels:
        raise ValueError(f"the answer is {answer!r}; one of {', '.join(labels)} would work")
    return list(labels).index(answer)
