"""N:M and block patterns, against matrices that can be checked by eye and brute force."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from smc_harness.declarations.structure import Block, NofM
from smc_harness.errors import PluginError
from smc_harness.sparsity import select_blocks, select_n_m
from smc_harness.sparsity.patterns import broken

FEW = st.sampled_from([-math.inf, -1.0, 0.0, 0.5, 2.0, math.inf])


def drawn(data: st.DataObject, values: st.SearchStrategy) -> Tensor:
    rows, columns = data.draw(st.integers(0, 5)), data.draw(st.integers(0, 11))
    size = rows * columns
    return torch.tensor(data.draw(st.lists(values, min_size=size, max_size=size))).view(rows, columns)


def test_two_of_four_keeps_the_two_best_of_every_four_in_a_row() -> None:
    scores = torch.tensor([[4.0, 1.0, 3.0, 2.0, 0.0, 0.0, 0.0, 0.0], [1.0, 2.0, 3.0, 4.0, 9.0, 0.0, 8.0, 1.0]])
    assert select_n_m({"w": scores}, 2, 4)["w"].int().tolist() == [[1, 0, 1, 0, 1, 1, 0, 0], [0, 0, 1, 1, 1, 0, 1, 0]]


def test_a_short_group_at_the_end_of_a_row_prunes_its_share_rounded_down() -> None:
    mask = select_n_m({"w": torch.tensor([[1.0, 2.0, 3.0, 4.0, 3.0, 2.0, 1.0]])}, 2, 4)
    assert mask["w"].int().tolist() == [[0, 0, 1, 1, 1, 1, 0]]


@pytest.mark.parametrize(("n", "m"), [(2, 4), (4, 8), (1, 4), (3, 4)])
@given(data=st.data())
@settings(max_examples=80, deadline=None)
def test_n_of_m_holds_in_every_group_and_keeps_the_best(n: int, m: int, data: st.DataObject) -> None:
    scores = drawn(data, FEW)
    mask = select_n_m({"w": scores}, n, m)["w"]
    assert broken({"w": mask}, NofM(n, m)) is None
    for row, kept in zip(scores.tolist(), mask.tolist(), strict=True):
        for start in range(0, len(row), m):
            group = row[start : start + m]
            best = sorted(range(len(group)), key=lambda i: (-group[i], i))
            keep = len(group) - len(group) * (m - n) // m
            assert {i for i in range(len(group)) if kept[start + i]} == set(best[:keep])


@given(data=st.data(), levels=st.lists(st.floats(0, 0.5), min_size=1, max_size=4))
@settings(max_examples=80, deadline=None)
def test_levels_on_the_way_are_exact_and_lead_to_the_complete_pattern(data: st.DataObject, levels) -> None:
    columns = 4 * data.draw(st.integers(1, 3))
    shape = (data.draw(st.integers(1, 4)), columns)
    alive = None
    for level in [*sorted(levels), 0.5]:
        size = math.prod(shape)
        scores = torch.tensor(data.draw(st.lists(FEW, min_size=size, max_size=size))).view(shape)
        mask = select_n_m({"w": scores}, 2, 4, level, alive)
        assert int((~mask["w"]).sum()) == math.floor(level * size + 0.5)
        assert alive is None or not (mask["w"] & ~alive["w"]).any()
        alive = mask
    assert broken(alive, NofM(2, 4)) is None


def test_a_level_beyond_the_pattern_is_refused() -> None:
    with pytest.raises(PluginError, match="level 0.6 given; 2:4 reaches 0.5 and no more"):
        select_n_m({"w": torch.zeros(4, 4)}, 2, 4, 0.6)


def test_blocks_go_as_a_whole_by_their_mean_score() -> None:
    scores = torch.tensor([[1.0, 1.0, 5.0, 0.0], [1.0, 2.0, 0.0, 0.0]])
    mask = select_blocks({"w": scores}, 0.5, 2, 2)
    # both means are 1.25: the first tile is kept
    assert mask["w"].int().tolist() == [[1, 1, 0, 0], [1, 1, 0, 0]]


def test_smaller_blocks_at_the_edge_compete_by_their_mean_too() -> None:
    scores = torch.tensor([[4.0, 4.0, 1.0], [4.0, 4.0, 1.0], [0.0, 0.0, 9.0]])
    assert select_blocks({"w": scores}, 4 / 9, 2, 2)["w"].int().tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 1]]


@pytest.mark.parametrize("allocation", ["global", "uniform", "erk"])
@given(data=st.data(), level=st.floats(0, 1, exclude_max=True))
@settings(max_examples=60, deadline=None)
def test_blocks_are_whole_and_as_many_as_fit_the_level(allocation: str, data: st.DataObject, level: float) -> None:
    scores = {name: drawn(data, FEW) for name in ("a", "b")}
    mask = select_blocks(scores, level, 2, 3, allocation)
    assert broken(mask, Block(2, 3)) is None
    total = sum(tensor.numel() for tensor in scores.values())
    pruned = sum(int((~kept).sum()) for kept in mask.values())
    tensors = 1 if allocation == "global" else 2
    assert math.floor(level * total + 0.5) - 6 * tensors < pruned <= math.floor(level * total + 0.5)


def test_a_dead_block_is_pruned_before_a_living_one_of_the_lowest_score() -> None:
    scores = {"w": torch.full((1, 4), -math.inf)}
    mask = select_blocks(scores, 0.5, 1, 2, alive={"w": torch.tensor([[False, False, True, True]])})
    assert mask["w"].tolist() == [[False, False, True, True]]


def test_vectors_and_tensors_of_more_dimensions_are_seen_as_matrices() -> None:
    scores = {"v": torch.arange(4.0), "t": torch.arange(8.0).view(2, 2, 2)}
    assert select_n_m(scores, 2, 4)["v"].tolist() == [False, False, True, True]
    assert select_n_m(scores, 2, 4)["t"].tolist() == [[[False, False], [True, True]]] * 2
    assert select_blocks(scores, 4 / 12, 1, 4)["t"].shape == (2, 2, 2)


@pytest.mark.parametrize("pattern", [NofM(1, 2), Block(1, 2)])
def test_a_mask_off_its_pattern_is_named(pattern) -> None:
    kept = torch.tensor([[True, False, True, True]]) if isinstance(pattern, NofM) else torch.tensor([[True, False]])
    assert broken({"fine": torch.zeros(1, 4, dtype=torch.bool), "off": kept}, pattern) == "off"


def test_what_is_sorted_in_chunks_is_what_is_sorted_at_once(monkeypatch) -> None:
    scores = {"w": torch.rand(9, 10, generator=torch.Generator().manual_seed(0))}
    whole = select_n_m(scores, 2, 4)["w"]
    monkeypatch.setattr("smc_harness.sparsity.patterns._CHUNK", 25)
    assert torch.equal(select_n_m(scores, 2, 4)["w"], whole)
