"""A cut over scores that are never held together is the cut of all of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from smc_harness.sparsity.select import pruned_count, select_global
from smc_harness.sparsity.stream import find_cut

DTYPES = [torch.bfloat16, torch.float16, torch.float32, torch.float64]
FEW = st.sampled_from([float("-inf"), -2.0, -1.0, -0.0, 0.0, 0.5, 1.0, 3.0, float("inf")])
TENSORS = st.lists(st.lists(FEW | st.floats(-100, 100, width=16), max_size=12), min_size=1, max_size=5)


def streamed(tensors: list[Tensor], level: float) -> list[Tensor]:
    cut = find_cut(lambda: iter(tensors), pruned_count(level, sum(map(Tensor.numel, tensors))))
    return [cut.living(tensor) for tensor in tensors]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@given(values=TENSORS, level=st.floats(0, 0.999))
@settings(deadline=None)
def test_it_is_the_cut_of_all_scores_together(dtype: torch.dtype, values: list[list[float]], level: float) -> None:
    tensors = [torch.tensor(row, dtype=dtype) for row in values]
    expected = select_global({str(number): tensor for number, tensor in enumerate(tensors)}, level)
    assert all(torch.equal(a, b) for a, b in zip(streamed(tensors, level), expected.values(), strict=True))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("level", [0.1, 0.5, 0.93])
def test_many_scores_of_many_pieces(dtype: torch.dtype, level: float) -> None:
    draw = torch.Generator().manual_seed(1)
    tensors = [torch.randn(size, generator=draw).abs().to(dtype) for size in ((1300, 1200), (7,), (900, 1000))]
    expected = select_global({str(number): tensor for number, tensor in enumerate(tensors)}, level)
    assert all(torch.equal(a, b) for a, b in zip(streamed(tensors, level), expected.values(), strict=True))


@pytest.mark.parametrize(("dtype", "passes"), list(zip(DTYPES, (1, 1, 2, 4), strict=True)), ids=str)
def test_scores_are_asked_for_once_for_every_sixteen_bits(dtype: torch.dtype, passes: int) -> None:
    asked: list[None] = []

    def scores() -> Iterator[Tensor]:
        asked.append(None)
        yield torch.arange(100, dtype=dtype)

    find_cut(scores, 40)
    assert len(asked) == passes
