"""The generated task: its data, and that a tiny model learns from it."""

from __future__ import annotations

import random
from types import SimpleNamespace

import pytest
from smc_tasks.arithmetic.expressions import OPERATORS, is_well_formed, number_index, value_of
from smc_tasks.arithmetic.mini import ArithmeticMiniParams
from smc_tasks.arithmetic.mini_data import CONSTANTS, lexicon, problems
from smc_tasks.arithmetic.problems import Problem, encode, vocabulary_of

from smc_harness.errors import UsageError

SMALL = ArithmeticMiniParams(train=400, test=100)


def test_the_same_data_seed_gives_the_same_problems() -> None:
    assert problems(SMALL) == problems(SMALL)


def test_another_data_seed_gives_other_problems() -> None:
    assert problems(SMALL) != problems(ArithmeticMiniParams(train=400, test=100, data_seed=1))


def test_no_question_is_asked_twice() -> None:
    asked = [problem.words for split in problems(SMALL).values() for problem in split]
    assert len(set(asked)) == len(asked) == 500


def test_every_problem_has_the_schema_of_the_real_data() -> None:
    for problem in problems(SMALL)["train"]:
        assert is_well_formed(problem.equation)
        assert value_of(problem.equation, problem.numbers) == problem.answer
        numbers = {index for index in map(number_index, problem.words) if index is not None}
        assert numbers == set(range(len(problem.numbers)))
        assert set(problem.equation) <= {*OPERATORS, *CONSTANTS, *(f"number{index}" for index in numbers)}


def solve(problem: Problem, verbs: dict[str, tuple[str, bool]], units: dict[str, str]) -> tuple[str, ...]:
    """The equation, from the question and the meaning of its words alone."""
    equation: tuple[str, ...] = ("number0",)
    for place, word in enumerate(problem.words):
        if word in verbs:
            operand = problem.words[place + 1]
            operand = units.get(operand, operand)
            operator, turned = verbs[word]
            equation = (operator, operand, *equation) if turned else (operator, *equation, operand)
    return equation


def test_knowing_the_words_is_enough_to_solve_every_problem() -> None:
    words = lexicon(SMALL, random.Random(SMALL.data_seed))
    for split in problems(SMALL).values():
        assert [solve(problem, words.verbs, words.units) for problem in split] == [p.equation for p in split]


def test_the_default_data_teaches_every_word_that_is_asked() -> None:
    splits = problems(ArithmeticMiniParams())
    assert [len(split) for split in splits.values()] == [8000, 2000]
    vocabulary = vocabulary_of(splits["train"])
    examples = [encode(problem, vocabulary) for problem in splits["test"]]
    assert all(example.symbols and 1 not in example.tokens for example in examples)
    assert set(vocabulary.constants) == set(CONSTANTS)


def test_both_operands_occur_as_subexpressions() -> None:
    equations = [problem.equation for problem in problems(SMALL)["train"] if len(problem.equation) == 5]
    left_nested = sum(equation[1] in OPERATORS for equation in equations)
    assert 0 < left_nested < len(equations)


@pytest.mark.parametrize("setting", [{"steps": 0}, {"verbs": 3}, {"train": -1}])
def test_senseless_sizes_are_refused(setting: dict[str, int]) -> None:
    with pytest.raises(UsageError, match=f"{next(iter(setting))}="):
        ArithmeticMiniParams(**setting)


def test_a_few_steps_already_learn_something() -> None:
    import torch
    from smc_tasks.arithmetic.mini import arithmetic_mini

    context = SimpleNamespace(params=SMALL, retraining=False)
    context.data = arithmetic_mini.prepare_data(context)
    torch.manual_seed(0)
    model = arithmetic_mini.prepare_model(context)
    batch = arithmetic_mini.collate(context.data["train"][:64])
    optimizer = arithmetic_mini.recipe(context).optimizer([{"params": list(model.parameters())}])
    losses = []
    for _ in range(25):
        optimizer.zero_grad()
        loss = arithmetic_mini.compute_loss(model, batch)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
