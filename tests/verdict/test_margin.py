"""How far below dense a sparse model may score."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smc_harness.errors import UsageError
from smc_harness.verdict.margin import Margin, margin_of


@pytest.mark.parametrize(
    ("text", "margin", "shown"),
    [
        ("0.01", Margin(0.01), "1 % of dense"),
        ("0", Margin(0.0), "0 % of dense"),
        ("0.5abs", Margin(0.5, True), "50 points"),
        ("12abs", Margin(12, True), "1200 points"),
    ],
)
def test_a_share_or_an_amount(text: str, margin: Margin, shown: str) -> None:
    assert Margin.read(text) == margin
    assert margin.show("fraction") == shown


def test_an_amount_is_shown_in_the_unit_of_the_metric() -> None:
    assert (Margin(0.5, True).show("BLEU"), Margin(0.5, True).show("")) == ("0.5 BLEU", "0.5")


@given(st.floats(0, 0.999), st.booleans())
def test_what_is_written_reads_back(amount: float, absolute: bool) -> None:
    assert Margin.read(str(Margin(amount, absolute))) == Margin(amount, absolute)


@pytest.mark.parametrize("text", ["", "abs", "-0.1", "1", "1.5", "nan", "infabs", "5%", "x"])
def test_what_is_no_margin_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a share of dense such as 0.01"):
        Margin.read(text)


@pytest.mark.parametrize(("dense", "expected"), [(0.9, 0.009), (-2.0, 0.02), (0.0, 0.0)])
def test_a_share_is_of_the_size_of_the_dense_score(dense: float, expected: float) -> None:
    assert Margin(0.01).of(dense) == pytest.approx(expected)


@given(st.floats(-100, 100).filter(bool), st.floats(-100, 100), st.sampled_from([1.0, -1.0]), st.booleans())
def test_the_share_of_dense_says_the_same_as_the_margin(dense: float, value: float, sign: float, points: bool) -> None:
    margin = Margin(0.3, points)
    beyond = sign * (dense - value) - margin.of(dense)
    rest = 0.0 if not points else margin.amount
    assert sign * (margin.share(dense, sign) * dense - value) - rest == pytest.approx(beyond, abs=1e-9)


def test_the_last_that_fits_holds() -> None:
    given = ["0.02", "opus-*=0.5abs", "opus-2to2=0.03"]
    assert margin_of("csqa", given) == Margin(0.02)
    assert margin_of("opus-5to5", given) == Margin(0.5, True)
    assert margin_of("opus-2to2", given) == Margin(0.03)
    assert margin_of("opus-2to2", [*given, "0.04"]) == Margin(0.04)


@pytest.mark.parametrize("declared", ["0.5abs", 0.5, Margin(0.5)])
def test_what_a_task_says_holds_where_nothing_was_given(declared: object) -> None:
    assert margin_of("t", ["other=0.1"], declared).amount == 0.5
    assert margin_of("t", ["0.1"], declared) == Margin(0.1)
    assert margin_of("t", []) == Margin(0.01)


def test_a_task_that_says_nonsense_is_named() -> None:
    with pytest.raises(UsageError, match="my-task: tolerance is 'much' given; a share"):
        margin_of("my-task", [], "much")
