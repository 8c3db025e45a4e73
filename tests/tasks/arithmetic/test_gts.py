"""The batched model against a slow one that follows the paper's equations one problem and one node at a time."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

import pytest
import torch
from smc_tasks.arithmetic.batching import collate
from smc_tasks.arithmetic.expressions import OPERATORS, is_well_formed
from smc_tasks.arithmetic.gts import GTS
from smc_tasks.arithmetic.problems import Example, Problem, Vocabulary, encode
from smc_tasks.arithmetic.words import ScratchWords
from torch import Tensor

WORDS = ("ann", "ben", "cat", "dog", "eggs")
VOCABULARY = Vocabulary(
    words={word: index for index, word in enumerate([*WORDS, "number0", "number1", "number2"], start=2)},
    constants=("2.0", "100.0"),
    longest=7,
)
EQUATIONS = (
    "number0",
    "+ number0 number1",
    "- * number0 2.0 number1",
    "- number1 / number0 100.0",
    "/ + number1 number0 - number0 number0",
    "* + - number0 number1 number0 number1",
    "- + number0 * number1 number0 number1",
)


def example(equation: str, length: int = 9, seed: int = 0) -> Example:
    """A problem with two numbers in a random question."""
    chance = random.Random(f"{equation} {length} {seed}")
    words = [chance.choice(WORDS) for _ in range(length)]
    for index, place in enumerate(sorted(chance.sample(range(length), 2))):
        words[place] = f"number{index}"
    return encode(Problem("p", tuple(words), (3.0, 4.0), tuple(equation.split()), 0.0), VOCABULARY)


def model_of(hidden: int = 6, layers: int = 2) -> GTS:
    torch.manual_seed(0)
    model = GTS(ScratchWords(VOCABULARY.n_words, 5), len(VOCABULARY.shared), hidden=hidden, layers=layers)
    return model.double().eval()


class Slow:
    """The paper's equations for one problem, with whole concatenations in place of split and fused matrices."""

    def __init__(self, model: GTS, problem: Example) -> None:
        self.decoder = model.decoder
        encoder = model.encoder
        layers = len(encoder.rightward)
        sizes = (encoder.words.width, model.decoder.symbols.embedding_dim)
        lstm = torch.nn.LSTM(*sizes, num_layers=layers, bidirectional=True).double()
        for name, parameter in lstm.named_parameters():
            stack = encoder.leftward if name.endswith("_reverse") else encoder.rightward
            kind, layer = name.removesuffix("_reverse").rsplit("_l", 1)
            parameter.data = getattr(stack[int(layer)], f"{kind}_l0").data
        states, _ = lstm(encoder.words.embedding(torch.tensor(problem.tokens)))
        right, left = states.chunk(2, dim=-1)
        self.memory = right + left
        self.root = right[-1] + left[0]
        self.table = torch.cat((self.decoder.symbols.weight, self.memory[list(problem.positions)]))

    def context(self, goal: Tensor) -> Tensor:
        part = self.decoder.attention
        matrix = torch.cat((part.query.weight, part.key.weight), dim=1)
        energies = [
            part.energy.weight[0] @ torch.tanh(matrix @ torch.cat((goal, state)) + part.query.bias)
            for state in self.memory
        ]
        weights = torch.softmax(torch.stack(energies), dim=0)
        return sum((w * h for w, h in zip(weights, self.memory, strict=True)), torch.zeros_like(goal))

    def log_probabilities(self, goal: Tensor) -> Tensor:
        part = self.decoder.score
        matrix = torch.cat((part.query.weight, part.key.weight), dim=1)
        query = torch.cat((goal, self.context(goal)))
        operators = self.decoder.operators
        energies = [row @ query + bias for row, bias in zip(operators.weight, operators.bias, strict=True)]
        energies += [
            part.energy.weight[0] @ torch.tanh(matrix @ torch.cat((query, symbol)) + part.query.bias)
            for symbol in self.table[len(OPERATORS) :]
        ]
        return torch.log_softmax(torch.stack(energies), dim=0)

    def walk(self, goal: Tensor, symbols: Iterator[int]) -> tuple[Tensor, Tensor]:
        """(log-probability, embedding) of the subtree that the symbols spell from here."""
        symbol = next(symbols)
        chance = self.log_probabilities(goal)[symbol]
        if symbol >= len(OPERATORS):
            return chance, self.table[symbol]
        size = len(goal)
        entry = torch.cat((goal, self.context(goal), self.table[symbol]))
        o_l, o_r, c_l, c_r = (self.decoder.split.weight @ entry + self.decoder.split.bias).split(size)
        left_chance, left_tree = self.walk(
            self.gate(self.decoder.left_goal, torch.sigmoid(o_l) * torch.tanh(c_l)), symbols
        )
        right_seed = torch.sigmoid(o_r) * torch.tanh(c_r)
        right_goal = self.gate(self.decoder.right_goal, torch.cat((right_seed, left_tree)))
        right_chance, right_tree = self.walk(right_goal, symbols)
        tree = self.gate(self.decoder.merge, torch.cat((self.table[symbol], left_tree, right_tree)))
        return chance + left_chance + right_chance, tree

    @staticmethod
    def gate(layer: torch.nn.Linear, entry: Tensor) -> Tensor:
        gate, content = (layer.weight @ entry + layer.bias).split(layer.out_features // 2)
        return torch.sigmoid(gate) * torch.tanh(content)

    def log_likelihood(self, symbols: tuple[int, ...]) -> Tensor:
        return self.walk(self.root, iter(symbols))[0]


def expressions(longest: int, n_symbols: int) -> list[tuple[int, ...]]:
    """Every well-formed expression in ids, of at most `longest` symbols."""
    by_length: dict[int, list[tuple[int, ...]]] = {1: [(leaf,) for leaf in range(len(OPERATORS), n_symbols)]}
    for length in range(3, longest + 1, 2):
        by_length[length] = [
            (operator, *left, *right)
            for operator in range(len(OPERATORS))
            for size in range(1, length - 1, 2)
            for left, right in itertools.product(by_length[size], by_length[length - 1 - size])
        ]
    return [found for size in by_length.values() for found in size]


@pytest.mark.parametrize("layers", [1, 2])
def test_likelihood_is_that_of_the_papers_equations(layers: int) -> None:
    model = model_of(layers=layers)
    examples = [example(equation, length) for length, equation in enumerate(EQUATIONS, start=4)]
    expected = torch.stack([Slow(model, problem).log_likelihood(problem.symbols) for problem in examples])
    torch.testing.assert_close(model(collate(examples)), expected)


def test_likelihood_does_not_depend_on_the_rest_of_the_batch() -> None:
    model = model_of()
    examples = [example(equation, length) for length, equation in enumerate(EQUATIONS, start=4)]
    alone = torch.cat([model(collate([problem])) for problem in examples])
    torch.testing.assert_close(model(collate(examples)), alone)


def test_gradients_do_not_depend_on_how_a_batch_is_split() -> None:
    model = model_of()
    examples = [example(equation, length) for length, equation in enumerate(EQUATIONS, start=4)]
    whole = torch.autograd.grad(model(collate(examples)).sum(), list(model.parameters()))
    parts = [
        torch.autograd.grad(model(collate([p])).sum(), list(model.parameters()), allow_unused=True) for p in examples
    ]
    for index, gradient in enumerate(whole):
        added = sum((part[index] for part in parts if part[index] is not None), torch.zeros_like(gradient))
        torch.testing.assert_close(gradient, added)


def test_an_equation_with_an_unseen_constant_has_no_part_in_the_loss() -> None:
    model = model_of()
    known, unknown = example("+ number0 number1"), example("* number0 3.5")
    likelihood = model(collate([unknown, known]))
    assert likelihood[0] == 0.0
    torch.testing.assert_close(likelihood[1:], model(collate([known])))
    assert model(collate([unknown])).tolist() == [0.0]


def test_one_beam_is_greedy_search() -> None:
    model = model_of()
    examples = [example("number0", length, seed) for length, seed in itertools.product((4, 7, 12), range(5))]
    predicted, scores = model.predict(collate(examples), beam=1, longest=5)
    for problem, row, score in zip(examples, predicted.tolist(), scores, strict=True):
        slow = Slow(model, problem)
        greedy = greedy_symbols(slow, longest=5)
        assert [symbol for symbol in row if symbol >= 0] == greedy
        torch.testing.assert_close(score, slow.log_likelihood(tuple(greedy)))


def greedy_symbols(slow: Slow, longest: int) -> list[int]:
    """Greedy choice by the slow equations: prefixes are scored as beginnings of any completion."""
    found: list[int] = []
    pending = 1
    while pending:
        filler = len(OPERATORS)  # any operand completes the expression without a say in the chances so far
        options = range(len(slow.table))
        room = longest - len(found) - 1
        chances = []
        for symbol in options:
            still = pending + (1 if symbol < len(OPERATORS) else -1)
            prefix = [*found, symbol]
            chances.append(partial_chance(slow, prefix, [filler] * still) if still <= room else float("-inf"))
        best = max(options, key=lambda symbol: chances[symbol])
        found.append(best)
        pending += 1 if best < len(OPERATORS) else -1
    return found


def partial_chance(slow: Slow, prefix: list[int], filler: list[int]) -> float:
    """Log-probability of the symbols of `prefix` alone, in the expression that `filler` completes."""
    chances: list[float] = []
    original = slow.log_probabilities

    def recording(goal: Tensor) -> Tensor:
        result = original(goal)
        if len(chances) < len(prefix):
            chances.append(float(result.detach()[prefix[len(chances)]]))
        return result

    slow.log_probabilities = recording  # type: ignore[method-assign]
    try:
        slow.log_likelihood((*prefix, *filler))
    finally:
        slow.log_probabilities = original  # type: ignore[method-assign]
    return sum(chances)


def test_a_wide_beam_finds_the_best_of_all_expressions() -> None:
    model = model_of()
    longest, n_symbols = 5, len(VOCABULARY.shared) + 2
    everything = expressions(longest, n_symbols)
    for problem in (example("number0", 5), example("number0", 8, seed=1)):
        spelled = [" ".join(VOCABULARY.symbol(symbol) for symbol in symbols) for symbols in everything]
        candidates = [encode(with_equation(problem, equation), VOCABULARY) for equation in spelled]
        likelihoods = model(collate(candidates))
        predicted, scores = model.predict(collate([problem]), beam=len(everything), longest=longest)
        best = int(likelihoods.argmax())
        assert tuple(symbol for symbol in predicted[0].tolist() if symbol >= 0) == everything[best]
        torch.testing.assert_close(scores[0], likelihoods[best])


def with_equation(problem: Example, equation: str) -> Problem:
    given = problem.problem
    return Problem("p", given.words, given.numbers, tuple(equation.split()), 0.0)


def test_the_score_of_a_beam_is_the_likelihood_of_its_expression() -> None:
    model = model_of(hidden=8)
    examples = [example("number0", length, seed) for length, seed in itertools.product((4, 9), range(6))]
    predicted, scores = model.predict(collate(examples), beam=5, longest=7)
    spelled = [" ".join(VOCABULARY.symbol(symbol) for symbol in row if symbol >= 0) for row in predicted.tolist()]
    again = [encode(with_equation(p, equation), VOCABULARY) for p, equation in zip(examples, spelled, strict=True)]
    torch.testing.assert_close(scores, model(collate(again)))


def test_predictions_do_not_depend_on_the_rest_of_the_batch() -> None:
    model = model_of(hidden=8)
    examples = [example("number0", length) for length in range(4, 12)]
    together, _ = model.predict(collate(examples), beam=3, longest=7)
    alone = torch.cat([model.predict(collate([problem]), beam=3, longest=7)[0] for problem in examples])
    assert torch.equal(together, alone)


@pytest.mark.parametrize("beam", [1, 4])
@pytest.mark.parametrize("longest", [1, 2, 3, 6])
def test_predictions_are_well_formed_at_any_length_limit(beam: int, longest: int) -> None:
    model = model_of()
    with torch.no_grad():
        model.decoder.symbols.weight[: len(OPERATORS)] += 3.0  # a model that would rather never stop
    examples = [example("number0", length) for length in range(4, 12)]
    predicted, _ = model.predict(collate(examples), beam=beam, longest=longest)
    for row in predicted.tolist():
        assert is_well_formed([VOCABULARY.symbol(symbol) for symbol in row if symbol >= 0])


def test_a_problem_without_numbers_still_gets_an_expression() -> None:
    model = model_of()
    problem = encode(Problem("p", ("ann", "eggs"), (), ("2.0",), 2.0), VOCABULARY)
    predicted, scores = model.predict(collate([problem]), beam=2, longest=3)
    assert is_well_formed([VOCABULARY.symbol(symbol) for symbol in predicted[0].tolist() if symbol >= 0])
    assert bool(scores.isfinite().all())


def test_all_weights_are_matrices_that_training_reaches() -> None:
    model = model_of()
    model(collate([example(equation) for equation in EQUATIONS])).sum().backward()  # type: ignore[no-untyped-call]
    for name, parameter in model.named_parameters():
        assert parameter.dim() <= 2, name
        assert parameter.grad is not None, name
        assert bool(parameter.grad.any()), name


def test_dropout_only_acts_in_training() -> None:
    torch.manual_seed(0)
    model = GTS(ScratchWords(VOCABULARY.n_words, 5, 0.5), len(VOCABULARY.shared), hidden=6, dropout=0.5)
    batch = collate([example(equation) for equation in EQUATIONS])
    assert not torch.equal(model(batch), model(batch))
    model.eval()
    assert torch.equal(model(batch), model(batch))
