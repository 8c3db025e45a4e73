"""Exact cuts, against sorting in Python; with pieces, samples and rooms so small that every path is taken."""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from smc_harness.sparsity import bracket, pieces
from smc_harness.sparsity.cut import Cut, find_cuts, living, shrink

VALUES = st.one_of(
    st.sampled_from([-math.inf, -2.0, -0.0, 0.0, 0.25, math.inf, 3.4028234663852886e38]),
    st.floats(-3, 3, width=16),
)
DTYPES = [
    (torch.float32,),
    (torch.float64,),
    (torch.bfloat16,),
    (torch.float16,),
    (torch.float32, torch.bfloat16),
    (torch.float64, torch.float16, torch.float32),
]


@pytest.fixture(scope="module", autouse=True)
def _small_pieces() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "_SIZE", 7)
        patch.setattr(pieces, "_HISTOGRAM", 5)
        patch.setattr(pieces, "_RUN", 3)
        patch.setattr(bracket, "FEW", 12)
        patch.setattr(bracket, "SAMPLE", 16)
        patch.setattr(bracket, "_FLAGS", 12)
        patch.setattr(bracket, "_TALLIED", 3)
        patch.setattr(bracket, "COLLECTED", 8)
        yield


@pytest.fixture(params=[1, 2])
def _threads(request: pytest.FixtureRequest) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield
    torch.set_num_threads(before)


def sorted_out(scores: list[Tensor], pruned: int, alive: list[Tensor]) -> list[bool]:
    """Drop the `pruned` first of the living by (score, -place)."""
    values = torch.cat([tensor.double() for tensor in scores]).tolist()
    flags = torch.cat(alive).tolist()
    order = sorted((value, -place) for place, value in enumerate(values) if flags[place])
    gone = {-place for _, place in order[: max(0, pruned)]}
    return [flag and place not in gone for place, flag in enumerate(flags)]


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[Tensor], list[Tensor] | None, list[int]]:
    dtypes = draw(st.sampled_from(DTYPES))
    lists = draw(st.lists(st.lists(VALUES, max_size=50), min_size=1, max_size=4))
    scores = [torch.tensor(values).to(draw(st.sampled_from(dtypes))) for values in lists]
    alive = None
    if draw(st.booleans()):
        alive = [
            torch.tensor(draw(st.lists(st.booleans(), min_size=len(values), max_size=len(values))), dtype=torch.bool)
            for values in lists
        ]
    total = sum(map(len, lists))
    return scores, alive, draw(st.lists(st.integers(-1, total + 1), min_size=1, max_size=6))


@pytest.mark.usefixtures("_threads")
@given(cases())
@settings(max_examples=300, deadline=None)
def test_all_numbers_at_once_are_cut_as_sorting_would(case) -> None:
    scores, alive, numbers = case
    everything = alive or [torch.ones_like(tensor, dtype=torch.bool) for tensor in scores]
    for number, cut in zip(numbers, find_cuts(scores, numbers, alive), strict=True):
        assert torch.cat(living(scores, cut, alive)).tolist() == sorted_out(scores, number, everything)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("make", ["normal", "sorted", "half zero", "two clumps", "one far"])
def test_whatever_the_scores_look_like_the_cut_is_exact(make: str, seed: int) -> None:
    draw = torch.randn(997, generator=torch.Generator().manual_seed(seed))
    scores = {
        "normal": draw,
        "sorted": draw.sort().values,
        "half zero": draw.clamp(min=0),
        "two clumps": torch.where(draw > 0, 5 + draw * 1e-6, draw * 1e-6),
        "one far": torch.where(torch.arange(997) == 500, -1e30, draw.abs()),
    }[make]
    numbers = [1, 2, 100, 498, 500, 900, 996, 997]
    for number, cut in zip(numbers, find_cuts([scores], numbers), strict=True):
        assert living([scores], cut)[0].tolist() == sorted_out([scores], number, [torch.ones(997, dtype=torch.bool)])


def test_a_cut_is_a_score_and_the_place_where_equal_ones_are_no_longer_kept() -> None:
    scores = [torch.tensor([1.0, 2.0, 2.0]), torch.tensor([[2.0, 3.0]])]
    assert find_cuts(scores, [2]) == [Cut(2.0, 3)]


def test_nothing_and_everything_can_be_pruned() -> None:
    scores = [torch.tensor([-math.inf, math.inf])]
    kept = [living(scores, cut)[0].tolist() for cut in find_cuts(scores, [0, 2])]
    assert kept == [[True, True], [False, False]]


def test_a_threshold_of_a_wider_tensor_is_not_rounded_to_a_narrower_one() -> None:
    scores = [torch.tensor([1.0], dtype=torch.bfloat16), torch.tensor([1.0 + 2**-20, 0.5])]
    (cut,) = find_cuts(scores, [2])
    assert [mask.tolist() for mask in living(scores, cut)] == [[False], [True, False]]


@pytest.mark.parametrize(("dtype", "share"), [(torch.float32, 1 / 4), (torch.bfloat16, 1)])
def test_memory_stays_a_fraction_of_the_scores(
    monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, share: float
) -> None:
    monkeypatch.undo()
    for name, value in {"_SIZE": 2**17, "_HISTOGRAM": 2**20, "_RUN": 16}.items():
        monkeypatch.setattr(pieces, name, value)
    for name, value in {"SAMPLE": 2**16, "COLLECTED": 2**20, "_FLAGS": 2**21, "_TALLIED": 255}.items():
        monkeypatch.setattr(bracket, name, value)
    scores = [torch.randn(2**21, generator=torch.Generator().manual_seed(i)).to(dtype) for i in range(8)]
    tracemalloc.start()
    try:
        find_cuts(scores, [2**23])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < share * 2**24 * dtype.itemsize


@pytest.mark.parametrize("values", [[math.nan], [1.0, math.nan, -1.0], [math.inf, math.nan]])
def test_a_nan_is_found(values: list[float]) -> None:
    assert pieces.has_nan(torch.tensor(values))


@pytest.mark.parametrize("values", [[], [math.inf, -math.inf], [65504.0] * 3])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_infinities_and_sums_that_overflow_are_no_nan(values: list[float], dtype: torch.dtype) -> None:
    assert not pieces.has_nan(torch.tensor(values, dtype=dtype))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@given(st.lists(VALUES.filter(math.isfinite), min_size=1, max_size=40), st.integers(0, 40))
@settings(max_examples=100, deadline=None)
def test_shrinking_zeroes_what_a_cut_of_the_magnitudes_prunes(dtype, values: list[float], pruned: int) -> None:
    weights = [torch.tensor(values).to(dtype), torch.tensor(values[::-1]).to(dtype)]
    magnitudes = [tensor.abs() for tensor in weights]
    (cut,) = find_cuts(magnitudes, [pruned])
    expected = [torch.where(m, w, 0) for m, w in zip(living(magnitudes, cut), weights, strict=True)]
    shrink(weights, cut)
    assert all(map(torch.equal, weights, expected))
