"""Exact selection, against matrices that can be checked by eye and against brute force."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from smc_harness.declarations.structure import Block, NofM, Structure
from smc_harness.errors import PluginError
from smc_harness.sparsity.select import pruned_count, select, select_global, shares

LEVELS = st.floats(min_value=0.0, max_value=1.0, exclude_max=True)
# few distinct values, so that ties at the threshold are common
SCORES = st.sampled_from([-math.inf, -2.0, -0.5, 0.0, 0.25, 1.0, math.inf])
TENSORS = st.dictionaries(st.text("abc", min_size=1, max_size=3), st.lists(SCORES, max_size=12), max_size=5)


def brute_force(scores: dict[str, Tensor], level: float) -> dict[str, list[bool]]:
    """Sort (score, -position) in Python and drop the first ones."""
    flat = [(float(value), position) for position, value in enumerate(torch.cat([*scores.values()]).tolist())]
    count = math.floor(level * len(flat) + 0.5)
    gone = {position for _, position in sorted(flat, key=lambda item: (item[0], -item[1]))[:count]}
    keep, start = {}, 0
    for name, tensor in scores.items():
        keep[name] = [start + i not in gone for i in range(len(tensor))]
        start += len(tensor)
    return keep


def test_prunes_the_lowest_scores_over_all_tensors_together() -> None:
    scores = {"a": torch.tensor([[0.1, 0.9], [0.3, 0.2]]), "b": torch.tensor([[0.4, 0.05]])}
    mask = select_global(scores, 0.5)
    assert mask["a"].tolist() == [[False, True], [True, False]]
    assert mask["b"].tolist() == [[True, False]]


def test_ties_keep_the_lowest_flat_index_in_scope_order() -> None:
    mask = select_global({"z": torch.zeros(3), "a": torch.zeros(3)}, 0.5)
    assert mask["z"].tolist() == [True, True, True]
    assert mask["a"].tolist() == [False, False, False]


@given(TENSORS, LEVELS)
@settings(max_examples=300, deadline=None)
def test_equals_sorting_by_score_and_position(values: dict[str, list[float]], level: float) -> None:
    scores = {name: torch.tensor(entries, dtype=torch.float32) for name, entries in values.items()}
    if not scores:
        assert select_global(scores, level) == {}
        return
    assert {name: mask.tolist() for name, mask in select_global(scores, level).items()} == brute_force(scores, level)


@given(LEVELS, LEVELS, st.integers(1, 60))
@settings(deadline=None)
def test_masks_of_rising_levels_are_nested(first: float, second: float, size: int) -> None:
    low, high = sorted((first, second))
    scores = {"w": torch.randint(0, 4, (size,), generator=torch.Generator().manual_seed(size)).float()}
    assert not (select_global(scores, high)["w"] & ~select_global(scores, low)["w"]).any()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_every_floating_dtype_gives_the_exact_count(dtype: torch.dtype) -> None:
    scores = {"w": torch.randn(1001, generator=torch.Generator().manual_seed(0)).to(dtype)}
    assert int((~select_global(scores, 0.3)["w"]).sum()) == math.floor(0.3 * 1001 + 0.5)


def test_float64_scores_are_not_rounded() -> None:
    scores = {"w": torch.tensor([1.0 + 1e-12, 1.0], dtype=torch.float64)}
    assert select_global(scores, 0.5)["w"].tolist() == [True, False]


def test_minus_infinity_goes_first_and_infinity_last() -> None:
    mask = select_global({"w": torch.tensor([math.inf, -1e30, -math.inf, 0.0])}, 0.75)
    assert mask["w"].tolist() == [True, False, False, False]


def test_empty_tensors_take_part() -> None:
    mask = select_global({"none": torch.zeros(0, 3), "w": torch.tensor([2.0, 1.0])}, 0.5)
    assert mask["none"].shape == (0, 3)
    assert mask["w"].tolist() == [True, False]


def test_nan_is_an_error_that_names_the_tensor() -> None:
    with pytest.raises(PluginError, match="'bad' hold NaN"):
        select_global({"w": torch.zeros(2), "bad": torch.tensor([0.0, math.nan])}, 0.5)


@pytest.mark.parametrize("level", [-0.1, 1.0, 1.5])
def test_a_level_outside_the_range_is_an_error(level: float) -> None:
    with pytest.raises(PluginError, match=r"\[0, 1\)"):
        pruned_count(level, 10)


@pytest.mark.parametrize(("level", "total", "count"), [(0.0, 7, 0), (0.5, 3, 2), (0.49, 3, 1), (0.999, 4, 4)])
def test_count_is_rounded_half_up(level: float, total: int, count: int) -> None:
    assert pruned_count(level, total) == count


@given(st.lists(st.tuples(SCORES, st.booleans()), min_size=1, max_size=30), LEVELS)
@settings(deadline=None)
def test_what_is_dead_stays_dead_and_the_count_is_reached_among_the_living(rows, level: float) -> None:
    scores = {"w": torch.tensor([score for score, _ in rows])}
    alive = torch.tensor([live for _, live in rows])
    keep = select_global(scores, level, {"w": alive})["w"]
    assert not (keep & ~alive).any()
    assert int((~keep).sum()) == max(int((~alive).sum()), pruned_count(level, len(rows)))


@pytest.mark.parametrize(
    "structure", [Structure("rows"), Structure(pattern=NofM(2, 4)), Structure("uniform", Block(2, 4))], ids=str
)
def test_a_matrix_that_is_turned_is_taken_by_its_outputs(structure: Structure) -> None:
    scores, alive = torch.randn(8, 12), torch.rand(8, 12) > 0.1
    expected = select({"m": scores}, 0.5, structure, {"m": alive})["m"]
    found = select({"m": scores.t()}, 0.5, structure, {"m": alive.t()}, {"m"})["m"]
    assert torch.equal(found.t(), expected)


def test_one_ranking_breaks_ties_in_the_order_of_the_tensor_itself() -> None:
    assert select({"m": torch.ones(2, 3)}, 0.5, Structure(), None, {"m"})["m"].tolist() == [[True] * 3, [False] * 3]


@pytest.mark.parametrize("structure", [Structure("uniform"), Structure("erk"), Structure("rows")], ids=str)
@given(
    level=st.floats(0, 0.999), sizes=st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9)), min_size=1, max_size=5)
)
def test_one_tensor_after_another_is_the_same_as_all_at_once(structure: Structure, level: float, sizes) -> None:
    scores = {str(number): torch.rand(size) for number, size in enumerate(sizes)}
    levels = shares({name: tensor.shape for name, tensor in scores.items()}, level, structure, None, "mine")
    alone = {name: select({name: scores[name]}, levels[name], structure)[name] for name in scores}
    together = select(scores, level, structure)
    assert {name: int(mask.sum()) for name, mask in alone.items()} == {
        name: int(mask.sum()) for name, mask in together.items()
    }
    assert all(torch.equal(alone[name], together[name]) for name in scores)


def test_densities_given_stand_in_for_the_allocation_and_fill_up() -> None:
    shapes = {"a": (10, 10), "b": (10, 10), "c": (5, 2)}
    levels = shares(shapes, 0.5, Structure("uniform"), {"a": 0.2, "b": 0.8, "c": 0.5}, "mine")
    assert [round(100 * level) for level in levels.values()] == [80, 20, 50]
    levels = shares(shapes, 0.4, Structure("uniform"), {"a": 0.1, "b": 10.0, "c": 0.1}, "mine")
    assert [round(100 * level) for level in levels.values()] == [76, 0, 80]
    assert sum(math.floor(level * math.prod(shapes[name]) + 0.5) for name, level in levels.items()) == 84
