from __future__ import annotations

import pytest

from smc_harness.declarations.structure import Block, NofM, Structure, read_structure
from smc_harness.errors import UsageError


@pytest.mark.parametrize(
    ("allocation", "pattern", "expected"),
    [
        ("global", "none", Structure()),
        ("erk", "", Structure("erk")),
        ("global", "2:4", Structure(pattern=NofM(2, 4))),
        ("uniform", "16x1", Structure("uniform", Block(16, 1))),
    ],
)
def test_reads_what_is_written(allocation: str, pattern: str, expected: Structure) -> None:
    assert read_structure(allocation, pattern, "mine") == expected


@pytest.mark.parametrize("pattern", ["4:2", "0:4", "4:4", "2/4", "0x4", "x", "2:4:8"])
def test_a_pattern_that_is_none_is_refused_with_what_would_work(pattern: str) -> None:
    with pytest.raises(UsageError, match=f"mine: pattern={pattern} given; N:M such as 2:4"):
        read_structure("global", pattern, "mine")


def test_an_unknown_allocation_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(UsageError, match="mine: allocation=unifrom given; .* did you mean 'uniform'"):
        read_structure("unifrom", "none", "mine")


def test_n_of_m_leaves_no_choice_of_allocation() -> None:
    with pytest.raises(UsageError, match="pattern=2:4 fixes the density of every tensor; leave allocation=erk out"):
        read_structure("erk", "2:4", "mine")


def test_a_tile_is_no_part_of_a_row() -> None:
    assert read_structure("rows", "none", "mine") == Structure("rows")
    with pytest.raises(UsageError, match="pattern=4x4 prunes tiles; allocation=global, uniform or erk would work"):
        read_structure("rows", "4x4", "mine")


def test_only_n_of_m_fixes_the_levels() -> None:
    assert read_structure("global", "4:8", "mine").levels == (0.5,)
    assert read_structure("global", "1:4", "mine").levels == (0.75,)
    assert read_structure("erk", "4x4", "mine").levels == ()
