"""Expressions against Python's own arithmetic, and against the equations of the real data."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smc_tasks.arithmetic.expressions import (
    OPERATORS,
    Tree,
    children,
    is_well_formed,
    prefix_from_infix,
    prefix_of,
    same_answer,
    tree_of,
    value_of,
)

NUMBERS = (7.0, 3.0, 0.0, 0.5)
leaves = st.sampled_from(["number0", "number1", "number2", "number3", "12.0", "0.01"])
trees: st.SearchStrategy[Tree] = st.recursive(
    leaves, lambda inner: st.tuples(st.sampled_from(OPERATORS), inner, inner), max_leaves=8
)


def infix(tree: Tree) -> list[str]:
    if isinstance(tree, str):
        return [tree]
    operator, left, right = tree
    return ["(", *infix(left), operator, *infix(right), ")"]


def by_python(symbols: list[str]) -> float | None:
    """The value of an infix expression by Python's own parser."""
    names = {f"number{index}": number for index, number in enumerate(NUMBERS)}
    try:
        return float(eval(" ".join(symbols), {}, names))
    except ZeroDivisionError:
        return None


@given(trees)
def test_a_tree_survives_prefix_notation(tree: Tree) -> None:
    assert tree_of(prefix_of(tree)) == tree


@given(trees)
def test_the_value_is_that_of_python(tree: Tree) -> None:
    expected = by_python(infix(tree))
    value = value_of(prefix_of(tree), NUMBERS)
    assert value is None if expected is None else value == pytest.approx(expected)


@given(trees)
def test_brackets_and_prefix_notation_say_the_same(tree: Tree) -> None:
    assert prefix_from_infix(infix(tree)) == prefix_of(tree)


@given(st.lists(st.one_of(leaves, st.sampled_from(OPERATORS)), max_size=7))
def test_well_formed_is_what_one_expression_reads_to_its_end(symbols: list[str]) -> None:
    def end_of(place: int) -> int:
        """The place after the expression that starts at `place`, beyond the end if there is none."""
        if place >= len(symbols):
            return len(symbols) + 1
        return end_of(end_of(place + 1)) if symbols[place] in OPERATORS else place + 1

    assert is_well_formed(symbols) == (end_of(0) == len(symbols))


def test_infix_without_brackets_keeps_precedence_and_order() -> None:
    assert prefix_from_infix(["8.0", "-", "2.0", "-", "3.0", "*", "4.0"]) == ("-", "-", "8.0", "2.0", "*", "3.0", "4.0")


@pytest.mark.parametrize("text", ["", "( 1.0", "1.0 )", "1.0 +", "1.0 2.0", "( )"])
def test_infix_that_is_no_expression_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expression|brackets"):
        prefix_from_infix(text.split())


def test_children_are_the_places_of_the_operands() -> None:
    assert children(["+", "-", "number0", "number1", "number2"]) == ((1, 2, -1, -1, -1), (4, 3, -1, -1, -1))


def test_children_of_a_broken_expression_are_refused() -> None:
    with pytest.raises(ValueError, match="not an expression"):
        children(["+", "number0"])


@pytest.mark.parametrize(
    "prefix",
    ["/ number0 number2", "number9", "apples", "+ number0", "* 1e308 1e308", ""],
    ids=["division by zero", "unknown number", "unknown symbol", "unfinished", "overflow", "empty"],
)
def test_what_has_no_value_gives_none(prefix: str) -> None:
    assert value_of(prefix.split(), NUMBERS) is None


def test_answers_within_the_tolerance_agree_and_others_do_not() -> None:
    assert same_answer(["number0"], ["7.00009"], NUMBERS)
    assert not same_answer(["number0"], ["7.00011"], NUMBERS)


def test_the_target_itself_is_right_even_without_a_value() -> None:
    assert same_answer(["/", "number0", "number2"], ["/", "number0", "number2"], NUMBERS)


def test_two_expressions_without_a_value_do_not_agree() -> None:
    assert not same_answer(["/", "number0", "number2"], ["/", "number1", "number2"], NUMBERS)
