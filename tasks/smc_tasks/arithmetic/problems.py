"""Word problems as people write them, and as a model reads them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from smc_tasks.arithmetic.expressions import OPERATORS, children, number_index

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Problem:
    """A word problem in the internal schema.

    identifier: names the problem across runs. words: the question, in which `number<k>` stands for the k-th number.
    numbers: their values. equation: prefix notation over operators, `number<k>` and constants. answer: its value.
    related: places of the words that say what the numbers count or ask for it, each number's own included; None where
    the source does not tell.
    """

    identifier: str
    words: tuple[str, ...]
    numbers: tuple[float, ...]
    equation: tuple[str, ...]
    answer: float
    related: tuple[int, ...] | None = None

    def cells(self) -> list[list[int]]:
        """Runs of neighbouring related words: the cells of the quantities, and that of the question.

        Where nothing is known of them, a number's word and one on either side, and the last three words.
        """
        related = self.related
        if related is None:
            numbers = [place for place, word in enumerate(self.words) if number_index(word) is not None]
            last = len(self.words) - 1
            related = (*(place + step for place in numbers for step in (-1, 0, 1)), last - 2, last - 1, last)
        runs: list[list[int]] = []
        for place in sorted({place for place in related if 0 <= place < len(self.words)}):
            if runs and place == runs[-1][-1] + 1:
                runs[-1].append(place)
            else:
                runs.append([place])
        return runs


@dataclass(frozen=True)
class Vocabulary:
    """Token ids of words, and symbol ids of expressions.

    Word ids: 0 pads, 1 is unknown. Symbol ids: the operators, then the constants, then number0, number1, ...
    longest: symbols in the longest training equation, the most that a prediction may have.
    """

    words: dict[str, int]
    constants: tuple[str, ...]
    longest: int
    shared: tuple[str, ...] = field(init=False)
    symbol_ids: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "shared", OPERATORS + self.constants)
        object.__setattr__(self, "symbol_ids", {symbol: index for index, symbol in enumerate(self.shared)})

    @property
    def n_words(self) -> int:
        """Rows of the word embedding."""
        return len(self.words) + 2

    def symbol_id(self, symbol: str) -> int | None:
        """The id of a symbol, None for a constant that training never saw."""
        index = number_index(symbol)
        return len(self.shared) + index if index is not None else self.symbol_ids.get(symbol)

    def symbol(self, identifier: int) -> str:
        """The symbol of an id."""
        n_shared = len(self.shared)
        return self.shared[identifier] if identifier < n_shared else f"number{identifier - n_shared}"


def vocabulary_of(problems: Iterable[Problem], min_count: int = 1) -> Vocabulary:
    """The vocabulary of training problems; words seen fewer than `min_count` times are unknown."""
    counts: Counter[str] = Counter()
    constants: set[str] = set()
    longest = 1
    for problem in problems:
        counts.update(problem.words)
        longest = max(longest, len(problem.equation))
        constants.update(s for s in problem.equation if s not in OPERATORS and number_index(s) is None)
    kept = sorted(word for word, count in counts.items() if count >= min_count)
    words = {word: index for index, word in enumerate(kept, start=2)}
    return Vocabulary(words, tuple(sorted(constants, key=float)), longest)


@dataclass(frozen=True)
class Example:
    """A problem in ids, with the shape of its equation worked out once.

    tokens: word ids. positions: where each number stands in the question. symbols: ids of the equation, empty where
    training never saw one of its constants. left, right: operands of each symbol, -1 for leaves. merges: places of
    the operators whose subtree embedding the decoder needs, operands before operators. graphs: [2, words, words], see
    `graphs.py`, or None. pieces: ids of the question's pieces and the place of each word's first one, for pretrained
    encoders, or None.
    """

    problem: Problem
    vocabulary: Vocabulary
    tokens: tuple[int, ...]
    positions: tuple[int, ...]
    symbols: tuple[int, ...]
    left: tuple[int, ...]
    right: tuple[int, ...]
    merges: tuple[int, ...]
    graphs: Tensor | None = None
    pieces: tuple[tuple[int, ...], tuple[int, ...]] | None = None


def encode(
    problem: Problem,
    vocabulary: Vocabulary,
    with_graphs: bool = False,
    read_pieces: Callable[[Sequence[str]], tuple[tuple[int, ...], tuple[int, ...]]] | None = None,
) -> Example:
    """The example of a problem, for a model that reads its graphs or one that does not.

    read_pieces: the tokeniser of a pretrained encoder.
    Raises ValueError if its equation is not well-formed or a number has no place.
    """
    left, right = children(problem.equation)
    places = {word: place for place, word in reversed(list(enumerate(problem.words)))}
    missing = [index for index in range(len(problem.numbers)) if f"number{index}" not in places]
    if missing:
        raise ValueError(f"number{missing[0]} does not occur in the question")
    symbols = [vocabulary.symbol_id(symbol) for symbol in problem.equation]
    known = [symbol for symbol in symbols if symbol is not None]
    positions = tuple(places[f"number{index}"] for index in range(len(problem.numbers)))
    return Example(
        problem=problem,
        vocabulary=vocabulary,
        tokens=tuple(vocabulary.words.get(word, 1) for word in problem.words),
        positions=positions,
        symbols=tuple(known) if len(known) == len(symbols) else (),
        left=left,
        right=right,
        merges=_merges(left, right),
        graphs=_graphs(problem, positions) if with_graphs else None,
        pieces=read_pieces(problem.words) if read_pieces is not None else None,
    )


def _graphs(problem: Problem, positions: Sequence[int]) -> Tensor:
    from smc_tasks.arithmetic.graphs import quantity_graphs

    return quantity_graphs(problem.cells(), positions, problem.numbers, len(problem.words))


def _merges(left: Sequence[int], right: Sequence[int]) -> tuple[int, ...]:
    """Operators inside left operands: only those subtrees feed a goal (that of the right sibling)."""
    needed: set[int] = set()
    for place, operand in enumerate(left):
        needed.update(inner for inner in (operand,) if operand >= 0 and left[operand] >= 0)
        if place in needed:
            needed.update(inner for inner in (operand, right[place]) if left[inner] >= 0)
    return tuple(sorted(needed, reverse=True))  # operands stand to the right of their operator in prefix order
