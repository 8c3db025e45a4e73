"""Questions as text that a language model may go on with: a context and what could follow, for every choice.

The texts are those of lm-evaluation-harness (its version 0.4), whose numbers published tables have.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from smc_tasks._sources import Row


@dataclass(frozen=True)
class Question:
    """contexts, endings: of every choice; an ending begins with the blank that sets it apart. choices: as the dataset
    has them, whose lengths normalise. answer: the number of the right one. group: questions about one text.
    """

    id: str
    group: str
    contexts: tuple[str, ...]
    endings: tuple[str, ...]
    choices: tuple[str, ...]
    answer: int


def boolq(row: Row, number: int) -> Question:
    label = row["label"] if "label" in row else row["answer"]
    context = f"{row['passage']}\nQuestion: {row['question']}?\nAnswer:"
    return _asked(row.get("idx", number), context, ("no", "yes"), int(label), group=row["passage"])


def piqa(row: Row, number: int) -> Question:
    return _asked(number, f"Question: {row['goal']}\nAnswer:", (row["sol1"], row["sol2"]), int(row["label"]))


def arc(row: Row, number: int) -> Question:
    stem, labels, texts = _choices(row)
    return _asked(row["id"], f"Question: {stem}\nAnswer:", texts, labels.index(row["answerKey"]))


arc_easy = arc_challenge = arc


def commonsense_qa(row: Row, number: int) -> Question:
    stem, labels, texts = _choices(row)
    listed = "\n".join(f"{label}. {text}" for label, text in zip("ABCDE", texts, strict=True))
    context = f"Question: {stem.strip()}\n{listed}\nAnswer:"
    return _asked(row["id"], context, tuple("ABCDE"), labels.index(row["answerKey"]))


def hellaswag(row: Row, number: int) -> Question:
    context = _cleaned(f"{row['activity_label']}: {row['ctx_a']} {row['ctx_b'].capitalize()}")
    endings = tuple(_cleaned(ending) for ending in row["endings"])
    return _asked(row["ind"], context, endings, int(row["label"]), group=row.get("source_id"))


def winogrande(row: Row, number: int) -> Question:
    """The rest of the sentence is what is foretold, after either filler."""
    before, place, after = row["sentence"].partition("_")
    if not place:
        raise ValueError(f"no blank in {row['sentence']!r}")
    contexts = tuple(before + row[option] for option in ("option1", "option2"))
    ending = f" {after.strip()}"
    name = str(row.get("qID") or number)
    group = name.rpartition("-")[0] or name
    return Question(name, group, contexts, (ending, ending), contexts, ("1", "2").index(row["answer"]))


def race(rows: Iterable[Row]) -> Iterator[Question]:
    """One question a text, its last, after the others with their answers."""
    for name, group in groupby(rows, key=lambda row: row["example_id"]):
        problems = list(group)
        context = f"Article: {problems[0]['article']}\n\n"
        for problem in problems[:-1]:
            answer = problem["options"]["ABCD".index(problem["answer"])]
            asked = problem["question"]
            if asked.endswith("  _  ."):
                context += f"{asked[:-5]}{answer}\n"
            else:
                context += f"Question: {asked}\nAnswer: {answer}\n"
        last = problems[-1]
        choices = tuple(last["options"])
        yield _asked(name, context + last["question"], choices, "ABCD".index(last["answer"]))


def _asked(name: object, context: str, choices: Sequence[str], answer: int, group: object = None) -> Question:
    """One context for all choices, a blank between it and each of them."""
    if not 0 <= answer < len(choices):
        raise ValueError(f"the answer is number {answer} of {len(choices)} choices")
    endings = tuple(f" {choice}" for choice in choices)
    same = str(name) if group is None else str(group)
    return Question(str(name), same, (context,) * len(choices), endings, tuple(choices), answer)


def _choices(row: Row) -> tuple[str, list[str], tuple[str, ...]]:
    """Question, labels and texts, of the original files or of the hub's flat rows."""
    asked = row["question"]
    if isinstance(asked, str):
        return asked, list(row["choices"]["label"]), tuple(row["choices"]["text"])
    labels, texts = zip(*((choice["label"], choice["text"]) for choice in asked["choices"]), strict=True)
    return asked["stem"], list(labels), texts


def _cleaned(text: str) -> str:
    """Without the marks that WikiHow's pages left in HellaSwag."""
    text = text.strip().replace(" [title]", ". ")
    return re.sub(r"\[.*?\]", "", text).replace("  ", " ")
