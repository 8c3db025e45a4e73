"""Two invented languages: one dictionary to memorise and one word order to turn round.

Every concept has a random word in each language. The first language says "adjective noun verb adjective noun", the
second "noun adjective noun adjective verb". Schema: {"translation": {language: text, language: text}}.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, NamedTuple

import torch

from smc_tasks._words import Vocabulary, invented_words
from smc_tasks.translation.examples import Example

if TYPE_CHECKING:
    from smc_tasks.translation.mini import TranslationMiniParams

LANGUAGES = ("qaa", "qab")  # ISO 639 keeps these codes free for private use
SPECIALS = ("<s>", "<pad>", "</s>", *(f"{language}_XX" for language in LANGUAGES))  # ids 0 to 2 as in mBART


class Dictionary(NamedTuple):
    """For each part of speech, the word pairs (first language, second language) of its concepts."""

    nouns: list[tuple[str, str]]
    adjectives: list[tuple[str, str]]
    verbs: list[tuple[str, str]]


def invent_dictionary(params: TranslationMiniParams) -> Dictionary:
    """Draw the words; they follow `data_seed` alone."""
    chance = random.Random(f"translation-mini dictionary {params.data_seed}")
    concepts = params.nouns + params.adjectives + params.verbs
    words = invented_words(2 * concepts, chance)
    pairs = list(zip(words[:concepts], words[concepts:], strict=True))
    return Dictionary(
        nouns=pairs[: params.nouns],
        adjectives=pairs[params.nouns : params.nouns + params.adjectives],
        verbs=pairs[params.nouns + params.adjectives :],
    )


def sentences(params: TranslationMiniParams) -> dict[str, list[dict[str, dict[str, str]]]]:
    """{"train": records, "test": records}, all sentences distinct; three to five words each."""
    dictionary = invent_dictionary(params)
    chance = random.Random(f"translation-mini sentences {params.data_seed}")
    seen: set[str] = set()
    splits: dict[str, list[dict[str, dict[str, str]]]] = {}
    for split, count in (("train", params.train_sentences), ("test", params.test_sentences)):
        records: list[dict[str, dict[str, str]]] = []
        while len(records) < count:
            texts = _sentence(dictionary, chance)
            if texts[0] not in seen:
                seen.add(texts[0])
                records.append({"translation": dict(zip(LANGUAGES, texts, strict=True))})
        splits[split] = records
    return splits


def _sentence(dictionary: Dictionary, chance: random.Random) -> tuple[str, str]:
    """One sentence in both languages."""
    subject, object_ = _noun_phrase(dictionary, chance), _noun_phrase(dictionary, chance)
    verb = chance.choice(dictionary.verbs)
    return " ".join([*subject[0], verb[0], *object_[0]]), " ".join([*subject[1], *object_[1], verb[1]])


def _noun_phrase(dictionary: Dictionary, chance: random.Random) -> tuple[list[str], list[str]]:
    """A noun, every other time with an adjective: before it in the first language, after it in the second."""
    noun = chance.choice(dictionary.nouns)
    if chance.random() < 0.5:
        return [noun[0]], [noun[1]]
    adjective = chance.choice(dictionary.adjectives)
    return [adjective[0], noun[0]], [noun[1], adjective[1]]


def vocabulary(params: TranslationMiniParams) -> Vocabulary:
    """The words of both languages in one vocabulary, as mBART has it."""
    pairs = [pair for part in invent_dictionary(params) for pair in part]
    return Vocabulary(SPECIALS, [pair[side] for side in range(len(LANGUAGES)) for pair in pairs])


def tokenise(split: str, records: list[dict[str, dict[str, str]]], words: Vocabulary) -> list[Example]:
    """Both directions of every sentence, one after the other."""
    examples = []
    for number, record in enumerate(records):
        texts = record["translation"]
        for source, target in (LANGUAGES, LANGUAGES[::-1]):
            examples.append(
                Example(
                    id=f"{split}-{number}-{source}-{target}",
                    group=f"{split}-{number}",
                    source=torch.tensor(words.encode([*texts[source].split(), "</s>", f"{source}_XX"])),
                    target=torch.tensor(words.encode([f"{target}_XX", *texts[target].split(), "</s>"])),
                    reference=texts[target],
                    direction=f"{source}-{target}",
                )
            )
    return examples
