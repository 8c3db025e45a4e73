"""Words of invented languages, and their numbering."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

from smc_harness.errors import UsageError

CONSONANTS = "bdfgklmnprstvz"
VOWELS = "aeiou"
MOST_WORDS = 100_000
"""Far fewer than there are, so that drawing until a word is new stays quick."""


def invented_words(count: int, chance: random.Random, taken: Iterable[str] = ()) -> list[str]:
    """`count` distinct words of two or three syllables ("bako", "mitelu"), none of them in `taken`."""
    if count > MOST_WORDS:
        raise UsageError(f"{count} words asked for: expected at most {MOST_WORDS}")
    used = set(taken)
    words: list[str] = []
    while len(words) < count:
        syllables = chance.choice((2, 3))
        word = "".join(chance.choice(CONSONANTS) + chance.choice(VOWELS) for _ in range(syllables))
        if word not in used:
            used.add(word)
            words.append(word)
    return words


class Vocabulary:
    """Word <-> id. The special tokens come first, so that their ids do not depend on the words."""

    def __init__(self, specials: Sequence[str], words: Iterable[str]) -> None:
        self.specials = len(specials)
        self.tokens = [*specials, *words]
        self.ids = {token: number for number, token in enumerate(self.tokens)}

    def __len__(self) -> int:
        return len(self.tokens)

    def encode(self, tokens: Iterable[str]) -> list[int]:
        """Ids of tokens; an unknown one is a KeyError, since generated data has none."""
        return [self.ids[token] for token in tokens]

    def decode(self, ids: Iterable[int]) -> str:
        """The words of a sequence of ids, separated by spaces; special tokens are left out."""
        return " ".join(self.tokens[number] for number in ids if number >= self.specials)
