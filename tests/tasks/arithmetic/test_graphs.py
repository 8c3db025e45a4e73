"""The graphs of a word problem, small enough to be checked by eye."""

from __future__ import annotations

import torch
from smc_tasks.arithmetic.graphs import CELL, COMPARISON, padded, quantity_graphs
from smc_tasks.arithmetic.problems import Problem


def problem(text: str, numbers: tuple[float, ...], related: tuple[int, ...] | None = None) -> Problem:
    return Problem("p", tuple(text.split()), numbers, ("number0",), 0.0, related)


def test_the_words_of_a_cell_are_joined_to_one_another_and_every_word_to_itself() -> None:
    graph = quantity_graphs([[1, 2]], [1], [3.0], 4)[CELL]
    assert graph.tolist() == [[1, 0, 0, 0], [0, 0.5, 0.5, 0], [0, 0.5, 0.5, 0], [0, 0, 0, 1]]


def test_a_number_points_to_the_smaller_ones_and_to_no_equal_one() -> None:
    graph = quantity_graphs([], [0, 1, 3], [5.0, 2.0, 5.0], 4)[COMPARISON]
    assert graph.tolist() == [[0.5, 0.5, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0.5, 0, 0.5]]


def test_padding_is_joined_to_nothing() -> None:
    graphs = padded([quantity_graphs([[0, 1]], [0], [1.0], 2), quantity_graphs([], [], [], 3)], 3)
    assert graphs.shape == (2, 2, 3, 3)
    assert graphs[0, CELL].tolist() == [[0.5, 0.5, 0], [0.5, 0.5, 0], [0, 0, 0]]
    assert torch.equal(graphs[1, COMPARISON], torch.eye(3))


def test_cells_are_the_runs_of_related_words() -> None:
    found = problem("ann has number0 red eggs and number1 cats how many", (2.0, 3.0), (2, 3, 4, 6, 7, 8, 9, 10, -1))
    assert found.cells() == [[2, 3, 4], [6, 7, 8, 9]]


def test_where_nothing_is_told_a_cell_is_a_number_with_its_neighbours_and_the_last_three_words() -> None:
    found = problem("number0 eggs are sold , number1 are left : how many ?", (2.0, 3.0))
    assert found.cells() == [[0, 1], [4, 5, 6], [9, 10, 11]]
