"""Row-wise selection, against sorting each row in Python."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from smc_harness.sparsity import rows, select_rows
from smc_harness.sparsity.select import pruned_count

SCORES = st.sampled_from([-math.inf, -1.0, 0.0, 0.5, 2.0, math.inf])


def test_every_row_is_ranked_by_itself() -> None:
    mask = select_rows({"w": torch.tensor([[1.0, 2.0, 3.0, 4.0], [40.0, 30.0, 20.0, 10.0]])}, 0.5)["w"]
    assert mask.tolist() == [[False, False, True, True], [True, True, False, False]]


@st.composite
def matrices(draw: st.DrawFn) -> tuple[torch.Tensor, torch.Tensor]:
    down, across = draw(st.integers(1, 6)), draw(st.integers(1, 8))
    values = draw(st.lists(SCORES, min_size=down * across, max_size=down * across))
    flags = draw(st.lists(st.booleans(), min_size=down * across, max_size=down * across))
    return torch.tensor(values).view(down, across), torch.tensor(flags).view(down, across)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@given(matrices(), st.floats(0, 1, exclude_max=True), st.booleans())
@settings(max_examples=150, deadline=None)
def test_the_best_of_each_row_live_first_ones_of_equal_and_the_total_is_exact(dtype, case, level, some_dead) -> None:
    scores, alive = case
    alive = alive if some_dead else torch.ones_like(alive)
    mask = select_rows({"w": scores.to(dtype)}, level, {"w": alive} if some_dead else None)["w"]
    kept = min(scores.numel() - pruned_count(level, scores.numel()), int(alive.sum()))
    assert int(mask.sum()) == kept
    shares = mask.sum(1).tolist()
    free = [share for share, lives in zip(shares, alive.sum(1).tolist(), strict=True) if share < lives]
    assert not free or max(shares) - min(free) <= 1
    for row, lives, keep, share in zip(scores.tolist(), alive.tolist(), mask.tolist(), shares, strict=True):
        best = sorted((-value, place) for place, value in enumerate(row) if lives[place])[:share]
        assert [place for place, kept in enumerate(keep) if kept] == sorted(place for _, place in best)


def test_rows_are_ranked_in_chunks_as_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = {"w": torch.randn(7, 5, generator=torch.Generator().manual_seed(0))}
    whole = select_rows(scores, 0.37)["w"]
    monkeypatch.setattr(rows, "_CHUNK", 12)
    assert torch.equal(select_rows(scores, 0.37)["w"], whole)


def test_kernels_are_rows_of_their_first_dimension_and_vectors_one_row() -> None:
    scores = {"kernel": torch.arange(24.0).view(2, 3, 2, 2), "vector": torch.arange(4.0), "none": torch.zeros(0, 3)}
    mask = select_rows(scores, 0.5)
    assert mask["kernel"].flatten(1).sum(1).tolist() == [6, 6]
    assert mask["vector"].tolist() == [False, False, True, True]
    assert mask["none"].shape == (0, 3)


def test_a_row_with_too_few_living_leaves_its_share_to_the_others() -> None:
    assert rows.shares(9, torch.tensor([1, 5, 5])).tolist() == [1, 4, 4]
    assert rows.shares(8, torch.tensor([1, 5, 5])).tolist() == [1, 4, 3]
