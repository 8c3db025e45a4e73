from __future__ import annotations

import io
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from smc_harness.cells import AGREEMENT, Cell, CellResult, Judgement, Measurement, Verdict
from smc_harness.report import tables
from smc_harness.verdict.first_fail import first_fails
from smc_harness.verdict.search import Search
from tests.toys import plugin

LETTERS = {".": Verdict.PASS, "F": Verdict.FAIL, "E": Verdict.ERROR, "s": Verdict.SKIPPED, "-": Verdict.NOT_RUN}
LEVELS = (0.2, 0.36, 0.488)


def results(letters: str, pruner: str = "p", task: str = "t", phase: str = "after", seed: int = 0) -> list[CellResult]:
    return [
        CellResult(
            Cell(task, pruner, level, seed, phase),
            LETTERS[letter],
            "accuracy",
            error={"E": "ValueError: odd [thing]", "s": "dense is poor"}.get(letter),
            output="Traceback [1]" if letter == "E" else "",
        )
        for level, letter in zip(LEVELS, letters, strict=False)
    ]


def dense(task: str, value: float | None, unit: str = "fraction", seed: int = 0) -> Any:
    hooks = SimpleNamespace(unit=unit)
    measured = None if value is None else Measurement(value, 100, 1.0)
    return SimpleNamespace(task=plugin("task", task, hooks), unit=unit, seed=seed, measurement=measured)


def session(*denses: Any) -> Any:
    return SimpleNamespace(
        denses={(one.task.name, one.seed): one for one in denses}, interrupted=False, search=Search()
    )


def printed(show: Any, width: int = 200) -> str:
    stream = io.StringIO()
    show(Console(file=stream, width=width, highlight=False, emoji=False))
    return stream.getvalue()


def rows(text: str) -> list[list[str]]:
    """The table's lines, split where two blanks stand."""
    return [[word.strip() for word in line.split("  ") if word.strip()] for line in text.splitlines() if line.strip()]


@pytest.mark.parametrize(
    ("letters", "expected"),
    [
        ("..F", "(0.36, 0.488]"),
        ("F--", "(-, 0.2]"),
        (".F.", "(0.2, 0.36] ~"),
        ("...", "none up to 0.488"),
        ("..E", "none up to 0.36 (error elsewhere)"),
        ("E..", "none up to 0.488 (error elsewhere)"),
        ("EEE", "error"),
        ("sss", "skipped"),
        ("---", "not run"),
    ],
)
def test_the_interval_of_a_trajectory_in_words(letters: str, expected: str) -> None:
    (found,) = first_fails(results(letters))
    assert tables.interval(found) == expected


def table(found: list[CellResult], *denses: Any, width: int = 200) -> str:
    return printed(lambda console: tables.first_fail(console, session(*denses), found), width)


def test_the_table_has_pruners_by_phase_and_tasks_with_their_dense_scores() -> None:
    found = [
        *results("..F", "zeta", "csqa", "before"),
        *results("F", "alpha", "csqa", "after"),
        *results("...", "alpha", "mt", "after"),
    ]
    lines = rows(table(found, dense("csqa", 0.7654), dense("mt", 31.25, "BLEU")))
    assert lines[0] == ["first fail: (last pass, first fail]"]
    assert lines[1] == ["pruner", "phase", "csqa", "mt"]
    assert lines[3:] == [
        ["dense", "76.54 %", "31.25 BLEU"],
        ["zeta", "before", "(0.36, 0.488]"],
        ["alpha", "after", "(-, 0.2]", "none up to 0.488"],
    ]


def test_of_several_seeds_the_median_and_the_range_are_shown() -> None:
    several = [*results("..F"), *results(".F-", seed=1), *results("...", seed=2)]
    text = table(several, dense("t", 0.5), dense("t", 0.6, seed=1), dense("t", 0.7, seed=2))
    assert rows(text)[3:8] == [
        ["dense", "50.00 %"],
        ["60.00 %"],
        ["70.00 %"],
        ["p", "after", "(0.36, 0.488]"],
        ["0.36 to none, 3 seeds"],
    ]
    assert "of several seeds: the median one; where the first of them fails, and the last" in text


def test_a_seed_without_a_verdict_has_its_own_line() -> None:
    text = table([*results("..F"), *results("EEE", seed=1)], dense("t", 0.5), dense("t", 0.6, seed=1))
    assert rows(text)[5:] == [["p", "after", "(0.36, 0.488]"], ["error"]]


def test_what_chance_may_have_moved_is_marked_and_explained() -> None:
    def judged(*p_values: tuple[float, float]) -> list[CellResult]:
        return [
            replace(result, judgement=Judgement(result.verdict, within=within, beyond=beyond))
            for result, (within, beyond) in zip(results("..F"), p_values, strict=True)
        ]

    sure = judged((0.0, 1.0), (0.01, 0.99), (1.0, 0.0))
    doubtful = judged((0.0, 1.0), (0.2, 0.8), (1.0, 0.0))
    assert "?" not in table(sure, dense("t", 0.5))
    assert "(0.36, 0.488] ?" in table(doubtful, dense("t", 0.5))
    assert "? chance alone may have put an end of this interval where it is" in table(doubtful, dense("t", 0.5))


def test_a_curve_that_is_not_monotone_is_explained() -> None:
    assert "~ a level above the first fail passed: the curve is not monotone" in table(results(".F."), dense("t", 0.5))
    assert "~" not in table(results("..F"), dense("t", 0.5))


def test_what_another_precision_of_evaluation_made_of_the_dense_model_is_told() -> None:
    def low(share: float, difference: float, seed: int) -> Any:
        one = dense("t", 0.5, seed=seed)
        found = ("bfloat16", share, difference)
        one.measurement = replace(one.measurement, logged=dict(zip(AGREEMENT, found, strict=True)))
        return one

    text = table([*results("..F"), *results("..F", seed=1)], low(0.99, 0.0, 0), low(0.975, 0.01, 1))
    assert "t: evaluated in bfloat16, dense 50.00 %; in float32 49.00 %, 97.50 % of the outcomes are the same" in text
    assert "99.00 %" not in text
    assert "bfloat16" not in table(results("..F"), dense("t", 0.5))


def test_a_dense_model_without_a_score_is_a_dash() -> None:
    assert ["dense", "-"] in rows(table(results("E"), dense("t", None)))


def test_without_results_there_is_no_table() -> None:
    assert table([]) == ""


def test_markup_emoji_and_line_ends_in_names_are_text() -> None:
    text = table(results("..F", "[red]:bug:\n</x>", "[bold]t"), dense("[bold]t", 0.5))
    assert "[red]:bug:\\n</x>" in text
    assert "[bold]t" in text


def test_an_unknown_phase_is_no_obstacle() -> None:
    assert ["p", "(0.36, 0.488]"] in rows(table(results("..F", phase=""), dense("t", 0.5)))


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_narrow_screen_folds_and_cuts_nothing(width: int) -> None:
    names = [f"a-rather-long-task-{i}" for i in range(4)]
    found = [result for name in names for result in results("..F", "a-rather-long-pruner", name)]
    text = table(found, *(dense(name, 0.5) for name in names), width=width)
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width
    for piece in (*names, "50.00 %", "(0.36,", "0.488]"):
        assert text.count(piece) == (1 if piece in names else 4)


def test_tasks_that_do_not_fit_beside_the_others_get_a_table_below() -> None:
    found = [result for task in ("one", "two", "six") for result in results("..F", task=task)]
    lines = rows(table(found, *(dense(task, 0.5) for task in ("one", "two", "six")), width=50))
    assert [line for line in lines if line[0] == "pruner"] == [
        ["pruner", "phase", "one", "two"],
        ["pruner", "phase", "six"],
    ]
    assert sum(line[0] == "p" for line in lines) == 2


def problems(found: list[CellResult], debug: bool = False) -> list[str]:
    return printed(lambda console: tables.problems(console, found, debug)).splitlines()


def test_an_error_or_skip_reason_is_shown_once_a_trajectory() -> None:
    found = [*results(".EE"), *results("s", "q"), *results("...", "r")]
    assert problems(found) == [
        "ERROR t::p[0.36,seed0] and 1 more of its levels: ValueError: odd [thing]",
        "SKIPPED t::q[0.2,seed0]: dense is poor",
    ]


def test_debug_shows_what_the_plugin_printed() -> None:
    assert problems(results("E"), debug=True)[1:] == ["Traceback [1]"]
    assert problems([*results("..F"), *results("--", "q")]) == []


def summary(found: list[CellResult], interrupted: bool = False) -> str:
    one = SimpleNamespace(interrupted=interrupted, search=Search())
    return printed(lambda console: tables.summary(console, one, found, 41.23)).rstrip("\n")  # type: ignore[arg-type]


def test_the_summary_counts_verdicts_like_pytest() -> None:
    found = [*results("..F"), *results("E", "q"), *results("s--", "r")]
    assert summary(found) == "2 passed, 1 failed, 1 error, 1 skipped, 2 not run in 41.2 s"


def test_the_summary_tells_what_came_from_the_store_and_how_to_go_on() -> None:
    cached = [CellResult(result.cell, result.verdict, "accuracy", cached=True) for result in results("..")]
    assert summary(cached) == "2 passed in 41.2 s (2 from the store)"
    assert summary(results("."), interrupted=True).endswith(" - interrupted; the same command goes on from here")


def failing(pruner: str, level: float, *findings: str) -> CellResult:
    measured = Measurement(0.1, 100, 1.0, realised=level, diagnosis=list(findings))
    return CellResult(Cell("t", pruner, level, 0, "after"), Verdict.FAIL, "accuracy", 0.9, measured)


def test_why_a_trajectory_first_fails_is_said_where_something_tells() -> None:
    found = [failing("a", 0.5, "late"), failing("a", 0.2, "one", "two", "three", "four"), failing("b", 0.2)]
    text = printed(lambda console: tables.reasons(console, found))
    assert text.splitlines() == [
        "what mask and predictions tell",
        "t::a[0.2,seed0] one; two; three; and 1 more",
        "",
    ]


def test_a_sparsity_that_was_not_asked_for_is_named_though_the_cell_passes() -> None:
    cell = Cell("t", "a", 0.2, 0, "after")
    found = CellResult(cell, Verdict.PASS, "accuracy", 0.9, Measurement(0.9, 100, 1.0, realised=0.287))
    assert found.diagnosis == ["the level is 0.2, but 0.287 of the scope is pruned"]
    assert "t::a[0.2,seed0] the level is 0.2, but 0.287 of the scope is pruned" in printed(
        lambda console: tables.reasons(console, [found])
    )


def test_nothing_is_said_where_nothing_tells() -> None:
    assert printed(lambda console: tables.reasons(console, [failing("a", 0.2)])) == ""


def test_a_pruner_that_does_not_beat_its_own_ratios_is_labelled_and_stands_beside_its_controls() -> None:
    found = [
        *results(".F", "snip"),
        *results(".F", "snip~own-ratios"),
        *results("F", "snip~random"),
        *results("..F", "snip-rigl"),
        *results(".F", "snip-rigl~own-ratios"),
    ]
    text = table(found, dense("t", 0.9))
    lines = {line[0]: line[-1] for line in rows(text) if line[0].startswith("snip")}
    assert lines["snip"] == "(0.2, 0.36] =" and lines["snip-rigl"] == "(0.36, 0.488]"
    assert list(lines) == ["snip", "snip~own-ratios", "snip~random", "snip-rigl", "snip-rigl~own-ratios"]
    assert "= fails at the same level as random pruning with its own ratio in every tensor (~own-ratios)" in text
    assert "fails at a lower level" not in text


def test_a_pruner_that_is_worse_than_its_own_ratios_is_labelled_so() -> None:
    text = table([*results("F", "snip"), *results(".F", "snip~own-ratios")], dense("t", 0.9))
    assert "(-, 0.2] <" in text and "< fails at a lower level than random pruning" in text
