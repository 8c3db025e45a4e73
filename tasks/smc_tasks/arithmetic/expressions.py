"""Arithmetic expressions in prefix notation: their shape, their value, and when two of them agree.

An expression is a sequence of symbols: an operator, `number<k>` for the k-th number of a problem, or a constant
written as a number ("0.01", "12.0"). `- number0 number1` is number0 - number1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

OPERATORS = ("+", "-", "*", "/")

TOLERANCE = 1e-4
"""Two values this close are the same answer (the tolerance of the SVAMP and SMC-Bench code)."""

Tree: TypeAlias = "str | tuple[str, Tree, Tree]"
"""A leaf, or (operator, left, right)."""


def is_well_formed(prefix: Sequence[str]) -> bool:
    """Whether the symbols are exactly one expression: each operator has two operands and nothing is left over."""
    pending = 1
    for symbol in prefix:
        if pending == 0:
            return False
        pending += 1 if symbol in OPERATORS else -1
    return pending == 0


def children(prefix: Sequence[str]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The places of the left and the right operand of every symbol; -1 for leaves.

    Raises ValueError if the expression is not well-formed.
    """
    if not is_well_formed(prefix):
        raise ValueError(f"not an expression in prefix notation: {' '.join(prefix)!r}")
    left, right = [-1] * len(prefix), [-1] * len(prefix)
    starts: list[int] = []  # of the complete operands to the right of the place, nearest last
    for place in range(len(prefix) - 1, -1, -1):
        if prefix[place] in OPERATORS:
            left[place], right[place] = starts.pop(), starts.pop()
        starts.append(place)
    return tuple(left), tuple(right)


def tree_of(prefix: Sequence[str]) -> Tree:
    """The expression as a tree. Raises ValueError if it is not well-formed."""
    left, right = children(prefix)

    def build(place: int) -> Tree:
        if left[place] < 0:
            return prefix[place]
        return (prefix[place], build(left[place]), build(right[place]))

    return build(0)


def prefix_of(tree: Tree) -> tuple[str, ...]:
    """The tree's symbols in prefix order, the inverse of `tree_of`."""
    if isinstance(tree, str):
        return (tree,)
    operator, left, right = tree
    return (operator, *prefix_of(left), *prefix_of(right))


def prefix_from_infix(infix: Sequence[str]) -> tuple[str, ...]:
    """Prefix notation of an infix expression with brackets and the usual precedence, left to right.

    Raises ValueError if it is not an expression.
    """
    precedence = {"+": 1, "-": 1, "*": 2, "/": 2}
    operands: list[tuple[str, ...]] = []
    waiting: list[str] = []

    def apply() -> None:
        operator = waiting.pop()
        if operator == "(" or len(operands) < 2:
            raise ValueError(f"not an expression: {' '.join(infix)!r}")
        right, left = operands.pop(), operands.pop()
        operands.append((operator, *left, *right))

    for symbol in infix:
        if symbol == "(":
            waiting.append(symbol)
        elif symbol == ")":
            while waiting and waiting[-1] != "(":
                apply()
            if not waiting:
                raise ValueError(f"unbalanced brackets: {' '.join(infix)!r}")
            waiting.pop()
        elif symbol in precedence:
            while waiting and waiting[-1] != "(" and precedence[waiting[-1]] >= precedence[symbol]:
                apply()
            waiting.append(symbol)
        else:
            operands.append((symbol,))
    while waiting:
        apply()
    if len(operands) != 1:
        raise ValueError(f"not an expression: {' '.join(infix)!r}")
    return operands[0]


def value_of(prefix: Sequence[str], numbers: Sequence[float]) -> float | None:
    """The value with the problem's numbers put in.

    None where there is none: not well-formed, an unknown number, division by zero, a result that is not finite.
    """
    if not is_well_formed(prefix):
        return None
    values: list[float] = []
    for symbol in reversed(prefix):
        if symbol in OPERATORS:
            left, right = values.pop(), values.pop()
            if symbol == "/" and right == 0:
                return None
            values.append(_apply(symbol, left, right))
            continue
        operand = _operand(symbol, numbers)
        if operand is None:
            return None
        values.append(operand)
    return values[0] if math.isfinite(values[0]) else None


def same_answer(predicted: Sequence[str], target: Sequence[str], numbers: Sequence[float]) -> bool:
    """Whether the prediction is the target, or both have values that differ by at most 1e-4."""
    if tuple(predicted) == tuple(target):
        return True
    predicted_value, target_value = value_of(predicted, numbers), value_of(target, numbers)
    if predicted_value is None or target_value is None:
        return False
    return abs(predicted_value - target_value) <= TOLERANCE


def number_index(symbol: str) -> int | None:
    """K for `number<k>`, None for every other symbol."""
    digits = symbol.removeprefix("number")
    return int(digits) if digits != symbol and digits.isdecimal() else None


def _operand(symbol: str, numbers: Sequence[float]) -> float | None:
    index = number_index(symbol)
    if index is not None:
        return numbers[index] if index < len(numbers) else None
    try:
        return float(symbol)
    except ValueError:
        return None


def _apply(operator: str, left: float, right: float) -> float:
    if operator == "+":
        return left + right
    if operator == "-":
        return left - right
    if operator == "*":
        return left * right
    return left / right
