from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from smc_harness.baseline.changes import Change, Comparison, LevelChange, Moved, PairChange
from smc_harness.baseline.drift import Drift
from smc_harness.report.compared import show, summary
from smc_harness.verdict.first_fail import FirstFail

WORSE = LevelChange(0.36, (0,), Change.REGRESSION, 0.81, 0.76, 2000, (0.041, 0.059), True)
MOVED = Moved(
    FirstFail("t", "p", 0, 0.36, 0.488, True, 0.488, None), FirstFail("t", "p", 0, 0.2, 0.36, True, 0.36, None)
)
NOTHING = Comparison("b\n.json")


def pair(
    change: Change, *levels: LevelChange, moved: bool = False, name: str = "t::p", unit: str = "fraction"
) -> PairChange:
    return PairChange(name, "t", "p", change, levels, [MOVED] * moved, unit=unit)


def printed(found: Comparison, updating: bool = False, loud: int = 0) -> list[str]:
    stream = io.StringIO()
    show(Console(file=stream, width=500, highlight=False, emoji=False), found, updating, loud)
    return stream.getvalue().splitlines()


def beside(*pairs: PairChange) -> Comparison:
    return replace(NOTHING, pairs=pairs)


def test_a_regression_is_a_line_with_what_supports_it() -> None:
    *_, line = printed(beside(pair(Change.REGRESSION, WORSE, moved=True)))
    assert line == (
        "REGRESSION t::p at 0.36: 81.00 % -> 76.00 % (worse by 4.10 to 5.90 points; 2000 examples, paired), "
        "first fail (0.36, 0.488] -> (0.2, 0.36]"
    )


def test_of_several_levels_the_lowest_is_shown_and_the_others_named() -> None:
    better = replace(WORSE, level=0.2, change=Change.IMPROVEMENT)
    levels = [better, WORSE, replace(WORSE, level=0.5), replace(WORSE, level=0.6)]
    *_, line = printed(beside(pair(Change.REGRESSION, *levels)))
    assert line.startswith("REGRESSION t::p at 0.36: ")
    assert line.endswith("paired), and at 0.5, 0.6")


def test_an_improvement_says_by_how_much_it_is_better() -> None:
    better = LevelChange(0.2, (0, 1), Change.IMPROVEMENT, 20.0, 25.0, 4000, (-6.0, -4.5))
    *_, line = printed(beside(pair(Change.IMPROVEMENT, better, unit="BLEU")))
    assert line == (
        "IMPROVEMENT t::p at 0.2: 20.00 BLEU -> 25.00 BLEU "
        "(better by 4.5 to 6; 4000 examples, 2 seeds, by their intervals)"
    )


def test_what_cannot_be_told_says_why() -> None:
    unknown = replace(WORSE, change=Change.UNKNOWN, worse=None)
    lines = printed(beside(pair(Change.UNKNOWN), pair(Change.UNKNOWN, unknown)))
    assert lines[2:] == [
        "UNKNOWN t::p: no level was measured in both",
        "UNKNOWN t::p at 0.36: 81.00 % -> 76.00 % (what chance could do is not known: "
        "the outcomes are not in this --store)",
    ]


@pytest.mark.parametrize("change", [Change.UNCHANGED, Change.WITHIN])
def test_what_did_not_change_is_not_told(change: Change) -> None:
    assert printed(beside(pair(change, replace(WORSE, change=change)))) == []


def test_regressions_come_first_and_names_are_text() -> None:
    found = beside(pair(Change.IMPROVEMENT, name="[red]a"), pair(Change.REGRESSION, name=":bug:"))
    heading, *lines = printed(found)[1:]
    assert heading == "beside b\\n.json"
    assert [line.split(":")[0] for line in lines] == ["REGRESSION ", "IMPROVEMENT [red]a"]


def test_drift_and_what_only_one_has_are_notices() -> None:
    found = replace(NOTHING, drift=[Drift("torch", "2.12.0", "2.13.0")], gone=list("abcde"), fresh=["x"])
    assert printed(found)[2:] == [
        "changed: torch 2.12.0 -> 2.13.0",
        "in the baseline alone: a, b, c and 2 more",
        "in this run alone: x",
    ]


def test_a_baseline_that_is_not_there_is_told_unless_it_is_written_now() -> None:
    missing = replace(NOTHING, there=False)
    assert printed(missing)[2:] == ["not there yet; --update-baseline writes it"]
    assert printed(missing, updating=True) == []


def test_the_quietest_run_tells_of_regressions_alone() -> None:
    found = replace(beside(pair(Change.IMPROVEMENT), pair(Change.REGRESSION, WORSE)), gone=["a"])
    assert [line.split()[0] for line in printed(found, loud=-2)[2:]] == ["REGRESSION"]


def test_the_summary_counts() -> None:
    stream = io.StringIO()
    found = beside(pair(Change.UNCHANGED), pair(Change.REGRESSION), pair(Change.UNCHANGED))
    summary(Console(file=stream, width=80), found)
    assert stream.getvalue() == "3 compared: 1 regression, 2 unchanged\n"
