"""What holds on the real files, which lie in SMC_DATA_DIR where there are any."""

from __future__ import annotations

import operator
import os
from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from pathlib import Path

import pytest
import torch
from smc_tasks.arithmetic.batching import collate
from smc_tasks.arithmetic.expressions import is_well_formed, prefix_of, same_answer, tree_of, value_of
from smc_tasks.arithmetic.files import read_problems
from smc_tasks.arithmetic.graph2tree import Graph2Tree
from smc_tasks.arithmetic.gts import GTS
from smc_tasks.arithmetic.problems import Example, Problem, encode, vocabulary_of
from smc_tasks.arithmetic.words import ScratchWords

FOLDER = Path(os.environ.get("SMC_DATA_DIR", "nowhere")) / "arithmetic"
FILES = sorted(path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.csv.gz"))

pytestmark = pytest.mark.skipif(not FILES, reason="SMC_DATA_DIR is not set")
OPERATIONS = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}
every_file = pytest.mark.parametrize("file", FILES)


@cache
def problems_of(file: str) -> list[Problem]:
    return read_problems(FOLDER / file, "real")


def exact(symbols: Iterator[str], numbers: tuple[float, ...]) -> Fraction:
    """An evaluator of prefix notation that reads from the left and has no rounding."""
    symbol = next(symbols)
    if symbol in OPERATIONS:
        left = exact(symbols, numbers)
        return OPERATIONS[symbol](left, exact(symbols, numbers))
    return Fraction(numbers[int(symbol[6:])] if symbol.startswith("number") else float(symbol))


def equation_in(example: Example) -> tuple[str, ...]:
    """The equation as the batch of the example alone holds it: level by level, left operands before right ones."""
    levels = collate([example])["levels"]

    def symbols(depth: int, place: int) -> list[str]:
        level = levels[depth]
        inner = level["inner"].tolist()
        symbol = example.vocabulary.symbol(int(level["target"][place]))
        if place not in inner:
            return [symbol]
        left, right = inner.index(place), inner.index(place) + len(inner)
        return [symbol, *symbols(depth + 1, left), *symbols(depth + 1, right)]

    return tuple(symbols(0, 0))


@every_file
def test_the_evaluator_equals_one_that_has_no_rounding(file: str) -> None:
    for problem in problems_of(file):
        value = value_of(problem.equation, problem.numbers)
        assert value == pytest.approx(float(exact(iter(problem.equation), problem.numbers)), rel=1e-12, abs=1e-12), (
            problem
        )
        assert same_answer(problem.equation, problem.equation, problem.numbers)


@every_file
def test_every_equation_gives_its_answer(file: str) -> None:
    wrong = [
        problem
        for problem in problems_of(file)
        if abs((value_of(problem.equation, problem.numbers) or 0.0) - problem.answer)
        > 0.01 * max(1, abs(problem.answer))
    ]
    # MAWPS itself has a handful of wrong answers, such as 40 / 7 = 5
    assert len(wrong) <= 6


@every_file
def test_every_equation_survives_ids_trees_and_batches(file: str) -> None:
    problems = problems_of(file)
    vocabulary = vocabulary_of(problems)
    for problem in problems:
        example = encode(problem, vocabulary)
        symbols = [vocabulary.symbol(symbol) for symbol in example.symbols]
        assert prefix_of(tree_of(symbols)) == problem.equation == equation_in(example)


@pytest.mark.parametrize("kind", [GTS, Graph2Tree])
@pytest.mark.parametrize("file", [file for file in FILES if "dev" in file and ("fold0" in file or "svamp" in file)])
def test_every_prediction_is_a_well_formed_expression_of_the_problem(file: str, kind: type[GTS]) -> None:
    problems = problems_of(file)
    vocabulary = vocabulary_of(problems)
    examples = [encode(problem, vocabulary, kind is Graph2Tree) for problem in problems]
    torch.manual_seed(0)
    model = kind(ScratchWords(vocabulary.n_words, 8), len(vocabulary.shared), hidden=8).eval()
    for first in range(0, len(examples), 128):
        batch = examples[first : first + 128]
        predicted, _ = model.predict(collate(batch), 5, vocabulary.longest)
        for example, row in zip(batch, predicted.tolist(), strict=True):
            symbols = [vocabulary.symbol(symbol) for symbol in row if symbol >= 0]
            assert is_well_formed(symbols)
            numbers = {f"number{k}" for k in range(max(1, len(example.problem.numbers)))}
            assert {symbol for symbol in symbols if symbol.startswith("number")} <= numbers
