"""Training pairs of many directions in little memory, and the order in which they are drawn. Imports torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple, overload

import numpy
import torch
from torch import Tensor

from smc_tasks.translation.examples import END, Example
from smc_tasks.translation.parallel import Texts, directions
from smc_tasks.translation.pieces import Pieces

Numbers = numpy.ndarray[Any, numpy.dtype[numpy.int64]]


class Sentences:
    """The ids of many sentences end to end, four bytes each."""

    def __init__(self, rows: Sequence[Sequence[int]]) -> None:
        self.lengths: Numbers = numpy.fromiter((len(row) for row in rows), numpy.int64, len(rows))
        self._ends: Numbers = numpy.cumsum(self.lengths)
        total = int(self._ends[-1]) if len(rows) else 0
        self._ids = numpy.fromiter((number for row in rows for number in row), numpy.int32, total)

    def __getitem__(self, index: int) -> list[int]:
        end = int(self._ends[index])
        ids: list[int] = self._ids[end - int(self.lengths[index]) : end].tolist()
        return ids


class Direction(NamedTuple):
    """Pairs from one language to another.

    place: of the parallel text. rows: of it, those that can be used. tokens: of the two languages. references: the
    target texts, where they are to be scored.
    """

    name: str
    place: str
    source: Sentences
    target: Sentences
    tokens: tuple[int, int]
    rows: Numbers
    references: Sequence[str] | None = None

    def example(self, index: int) -> Example:
        row = int(self.rows[index])
        return Example(
            id=f"{self.place}:{row}:{self.name}",
            group=f"{self.place}:{row}",
            source=torch.tensor([*self.source[row], END, self.tokens[0]]),
            target=torch.tensor([self.tokens[1], *self.target[row], END]),
            reference="" if self.references is None else self.references[row],
            direction=self.name,
        )


class Corpus(Sequence[Example]):
    """The pairs of all directions, one direction after the other; an example is made when it is asked for.

    pieces: what the ids of all splits stand for.
    """

    def __init__(self, parts: Sequence[Direction], pieces: Pieces) -> None:
        self.pieces = pieces
        self.parts = [part for part in parts if len(part.rows)]
        self._ends: Numbers = numpy.cumsum([len(part.rows) for part in self.parts])

    @property
    def sizes(self) -> list[int]:
        """Pairs of each direction."""
        return [len(part.rows) for part in self.parts]

    def __len__(self) -> int:
        return int(self._ends[-1]) if self.parts else 0

    @overload
    def __getitem__(self, index: int) -> Example: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Example]: ...
    def __getitem__(self, index: int | slice) -> Example | Sequence[Example]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        index %= len(self)
        part = int(numpy.searchsorted(self._ends, index, side="right"))
        before = int(self._ends[part - 1]) if part else 0
        return self.parts[part].example(index - before)

    @cached_property
    def lengths(self) -> Tensor:
        """Long [n]: tokens of the longer side of each pair, special ones included."""
        found = [
            numpy.maximum(part.source.lengths[part.rows], part.target.lengths[part.rows]) + 2 for part in self.parts
        ]
        return torch.from_numpy(numpy.concatenate(found))

    @cached_property
    def labels_per_sentence(self) -> float:
        """Mean number of tokens to predict, the end included."""
        return sum(float((part.target.lengths[part.rows] + 1).sum()) for part in self.parts) / len(self)


def to_train(texts: Mapping[str, Texts], pieces: Pieces, pivot: str, longest: int) -> Corpus:
    """All pairs of which neither side is empty or has more than `longest` pieces. texts: by the name of their place."""
    parts = []
    for place, sentences in texts.items():
        cut = {language: Sentences(pieces.encode(lines)) for language, lines in sentences.items()}
        for one, other in directions(sentences, pivot):
            source, target = cut[one], cut[other]
            short = (source.lengths <= longest) & (target.lengths <= longest)
            rows = numpy.flatnonzero((source.lengths > 0) & (target.lengths > 0) & short)
            tokens = (pieces.languages[one], pieces.languages[other])
            parts.append(Direction(f"{one}-{other}", place, source, target, tokens, rows))
    return Corpus(parts, pieces)


def to_score(texts: Mapping[str, Texts], pieces: Pieces, pivot: str, longest: int) -> list[Example]:
    """Every pair of which neither side is empty, with its reference; sources are cut after `longest` pieces.

    The directions take turns, so that any first part has all of them.
    """
    found: list[tuple[int, Example]] = []
    for place, sentences in texts.items():
        cut = {
            language: Sentences([row[:longest] for row in pieces.encode(lines)])
            for language, lines in sentences.items()
        }
        for one, other in directions(sentences, pivot):
            source, target = cut[one], cut[other]
            rows = numpy.flatnonzero((source.lengths > 0) & (target.lengths > 0))
            tokens = (pieces.languages[one], pieces.languages[other])
            part = Direction(f"{one}-{other}", place, source, target, tokens, rows, sentences[other])
            found += [(index, part.example(index)) for index in range(len(rows))]
    found.sort(key=lambda item: item[0])
    return [example for _, example in found]


def temperature_draw(sizes: Sequence[int], temperature: float, draws: int, generator: torch.Generator) -> Tensor:
    """Long [draws]: example numbers, a direction of n pairs drawn with weight n^(1/temperature) (Arivazhagan 2019).

    Within a direction no pair comes twice before all have come once.
    """
    weights = torch.tensor(sizes, dtype=torch.float64) ** (1 / temperature)
    which = torch.multinomial(weights, draws, replacement=True, generator=generator)
    found = torch.empty(draws, dtype=torch.long)
    first = 0
    for part, size in enumerate(sizes):
        places = (which == part).nonzero().squeeze(1)
        rounds = -(-len(places) // size)
        order = [torch.randperm(size, generator=generator) for _ in range(rounds)]
        if order:
            found[places] = first + torch.cat(order)[: len(places)]
        first += size
    return found


def token_batches(numbers: Tensor, lengths: Tensor, tokens: int, generator: torch.Generator) -> Iterator[list[int]]:
    """Batches of examples of similar length, each of at most `tokens` with its padding (or of one), in random order.

    numbers: examples, in random order. lengths: of every example of the corpus.
    """
    chosen = lengths[numbers]
    order = torch.argsort(chosen, stable=True)
    ranked, sizes = numbers[order].tolist(), chosen[order].tolist()
    batches, start = [], 0
    for end in range(1, len(ranked) + 1):
        if end == len(ranked) or (end + 1 - start) * sizes[end] > tokens:
            batches.append(ranked[start:end])
            start = end
    for index in torch.randperm(len(batches), generator=generator).tolist():
        yield batches[index]
