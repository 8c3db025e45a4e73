"""Budgets per tensor, against closed forms and brute force."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from smc_harness.sparsity import select_erk, select_uniform
from smc_harness.sparsity.allocation import kept_counts, rates

SHAPES = {"wide": (4, 100), "square": (20, 20), "small": (2, 5)}
SIZES = {"wide": 400, "square": 400, "small": 10}
DRAWN = st.dictionaries(
    st.text("abcd", min_size=1, max_size=2), st.tuples(st.integers(0, 9), st.integers(1, 9)), min_size=1, max_size=5
)


def test_uniform_gives_every_tensor_the_same_density() -> None:
    assert kept_counts(rates(SHAPES, "uniform"), SIZES, 405) == {"wide": 200, "square": 200, "small": 5}


def test_erk_density_follows_the_sum_of_the_dimensions_over_their_product() -> None:
    """Densities e x (104/400, 40/400, 7/10), so counts in the ratio 104 : 40 : 7; e = 120 / 151."""
    # 82.65, 31.79 and 5.56: the two largest remainders round up
    assert kept_counts(rates(SHAPES, "erk"), SIZES, 120) == {"wide": 83, "square": 32, "small": 5}


def test_a_tensor_that_would_need_more_than_it_has_stays_dense_and_the_others_share_the_rest() -> None:
    counts = kept_counts(rates(SHAPES, "erk"), SIZES, 300)
    assert counts["small"] == 10  # 7 x 300 / 151 = 13.9
    assert counts["wide"] == round(290 * 104 / 144) and counts["square"] == round(290 * 40 / 144)


def test_an_empty_tensor_gets_nothing() -> None:
    assert kept_counts(rates({"none": (0, 5), "one": (1, 1)}, "erk"), {"none": 0, "one": 1}, 1) == {"none": 0, "one": 1}


@given(DRAWN, st.floats(0, 1), st.sampled_from(["uniform", "erk"]))
@settings(max_examples=200, deadline=None)
def test_counts_add_up_stay_within_the_tensors_and_are_in_proportion(shapes, share, allocation) -> None:
    sizes = {name: math.prod(shape) for name, shape in shapes.items()}
    kept = math.floor(share * sum(sizes.values()))
    counts = kept_counts(rates(shapes, allocation), sizes, kept)
    assert sum(counts.values()) == kept
    assert all(0 <= counts[name] <= sizes[name] for name in shapes)
    per = {name: sizes[name] if allocation == "uniform" else sum(shapes[name]) for name in shapes if sizes[name]}
    free = {name: counts[name] / rate for name, rate in per.items() if counts[name] < sizes[name]}
    # those that are not full have the same count per rate, up to the rounding of one weight
    for name, per_rate in free.items():
        for other, their_rate in free.items():
            assert per_rate - their_rate <= 1 / per[name] + 1 / per[other] + 1e-9


@pytest.mark.parametrize("select", [select_uniform, select_erk])
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_selection_is_exact_best_first_and_respects_the_dead(select, data) -> None:
    shapes = data.draw(DRAWN)
    few = st.sampled_from([-1.0, 0.0, 0.5, 2.0])
    scores, alive = {}, {}
    for name, shape in shapes.items():
        size = math.prod(shape)
        scores[name] = torch.tensor(data.draw(st.lists(few, min_size=size, max_size=size))).view(shape)
        alive[name] = torch.tensor(
            data.draw(st.lists(st.booleans(), min_size=size, max_size=size)), dtype=torch.bool
        ).view(shape)
    level = data.draw(st.floats(0, 1, exclude_max=True))
    total = sum(tensor.numel() for tensor in scores.values())
    dead = sum(int((~tensor).sum()) for tensor in alive.values())
    mask = select(scores, level, alive)
    assert sum(int((~kept).sum()) for kept in mask.values()) == max(dead, min(total, math.floor(level * total + 0.5)))
    for name, kept in mask.items():
        assert not (kept & ~alive[name]).any()
        pairs = list(zip(scores[name].flatten().tolist(), range(kept.numel()), kept.flatten().tolist(), strict=True))
        living = [pair for pair, lives in zip(pairs, alive[name].flatten().tolist(), strict=True) if lives]
        best = sorted(living, key=lambda pair: (-pair[0], pair[1]))
        assert [keep for _, _, keep in best] == sorted((keep for _, _, keep in best), reverse=True)
