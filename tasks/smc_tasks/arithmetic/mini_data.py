"""Generated word problems in which everything that matters must be known by heart.

A problem is a chain of one or two actions on a number of things. Every verb has an operator of its own, drawn once,
and some verbs turn their operands round; every unit word stands for a constant; nouns mean nothing. No verb can be
guessed from the others, so a model has to memorise them all, and still build equations that it never saw.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from smc_tasks._words import invented_words
from smc_tasks.arithmetic.expressions import OPERATORS, value_of
from smc_tasks.arithmetic.problems import Problem

if TYPE_CHECKING:
    from smc_tasks.arithmetic.mini import ArithmeticMiniParams

CONSTANTS = ("2.0", "4.0", "10.0", "12.0", "20.0", "100.0")
REVERSED = 0.3
"""Chance of a verb to turn its operands round."""
UNIT = 0.25
"""Chance of an operand to be a unit word in place of a number."""
TWO_ACTIONS = 0.6
"""Chance of a problem to have two actions."""


@dataclass(frozen=True)
class Lexicon:
    """verbs: word -> (operator, whether the operands are turned round). units: word -> constant."""

    verbs: dict[str, tuple[str, bool]]
    units: dict[str, str]
    nouns: tuple[str, ...]


def lexicon(params: ArithmeticMiniParams, chance: random.Random) -> Lexicon:
    """Draw the words and what they mean. Every constant has a unit word, every operator a verb."""
    words = invented_words(params.verbs + params.units + params.nouns, chance, taken=("how", "many"))
    verbs, units = words[: params.verbs], words[params.verbs : params.verbs + params.units]
    operators = [OPERATORS[index % len(OPERATORS)] for index in range(params.verbs)]
    chance.shuffle(operators)
    return Lexicon(
        verbs={verb: (operator, chance.random() < REVERSED) for verb, operator in zip(verbs, operators, strict=True)},
        units={unit: CONSTANTS[index % len(CONSTANTS)] for index, unit in enumerate(units)},
        nouns=tuple(words[params.verbs + params.units :]),
    )


def problems(params: ArithmeticMiniParams) -> dict[str, list[Problem]]:
    """The problems of both splits. The same parameters always give the same ones; no question occurs twice."""
    chance = random.Random(params.data_seed)
    words = lexicon(params, chance)
    asked: set[tuple[str, ...]] = set()
    splits: dict[str, list[Problem]] = {}
    for split, count in (("train", params.train), ("test", params.test)):
        found = splits[split] = []
        while len(found) < count:
            problem = _problem(words, f"{split}-{len(found)}", chance)
            if problem is not None and problem.words not in asked:
                asked.add(problem.words)
                found.append(problem)
    return splits


def _problem(words: Lexicon, identifier: str, chance: random.Random) -> Problem | None:
    """One problem; None if its answer would need a division by zero."""
    nouns, verbs, units = words.nouns, tuple(words.verbs), tuple(words.units)
    numbers = [float(chance.randint(2, 99))]
    question = ["number0", chance.choice(nouns)]
    equation: tuple[str, ...] = ("number0",)
    for _ in range(2 if chance.random() < TWO_ACTIONS else 1):
        verb = chance.choice(verbs)
        if chance.random() < UNIT:
            word = chance.choice(units)
            operand = words.units[word]
        else:
            word = operand = f"number{len(numbers)}"
            numbers.append(float(chance.randint(2, 99)))
        question += [",", verb, word, chance.choice(nouns)]
        operator, turned = words.verbs[verb]
        equation = (operator, operand, *equation) if turned else (operator, *equation, operand)
    answer = value_of(equation, numbers)
    if answer is None:
        return None
    return Problem(identifier, (*question, "how", "many", "?"), tuple(numbers), equation, answer)
