"""Our curve beside the published one: the join, and the tables."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from smc_harness.cells import Cell, CellResult, Measurement, Pooled, Verdict
from smc_harness.report.beside import Panel, panel
from smc_harness.report.beside_tables import show
from smc_harness.report.saved import SavedRun, read
from smc_harness.report.tables import interval
from smc_harness.verdict.margin import Margin
from smc_harness.verdict.rule import Tolerance
from tests.report.saving import saved
from tests.toys import plugin

TABLE = """\
task,pruner,level,value,uncertain,figure,reading,note
t,dense,0,0.8,,figure 1,digitised,one run
t,p,0.2,0.81,,figure 1,digitised,
t,p,0.36,0.7,true,figure 1,digitised,hidden
t,elsewhere,0.2,0.5,true,figure 1,digitised,not told
"""


@dataclass(frozen=True)
class Params:
    recipe: str = "small"
    width: int = 3


def measured(pruner: str, values: Sequence[float], task: str = "t", seed: int = 0, **about: Any) -> list[CellResult]:
    """At levels 0.2, 0.36 and 0.488, of a dense score of 0.5, judged by a rule that nothing passes."""
    return [
        CellResult(
            Cell(task, pruner, level, seed, "after"), Verdict.FAIL, "accuracy", 0.5,
            Measurement(value, 100, 1.0, realised=level), **about,
        )
        for level, value in zip((0.2, 0.36, 0.488), values, strict=False)
    ]  # fmt: skip


def joined(
    folder: Path,
    results: Sequence[CellResult],
    rule: Tolerance | None = None,
    options: dict[str, Any] | None = None,
    about: dict[str, Any] | None = None,
    **declared: Any,
) -> tuple[SavedRun, Panel]:
    (folder / "curves.csv").write_text(TABLE)
    path = folder / "run.json"
    path.write_text(json.dumps(saved(results, options, **(about or {}))))
    hooks = SimpleNamespace(**{"published_curves": "curves.csv"} | declared)
    task = replace(plugin("task", "t", hooks, params=declared.get("params")), file=folder / "t.py")
    run = read(path)
    found = panel(run, task, rule or Tolerance(Margin(0.01)))
    assert found is not None
    return run, found


def test_both_curves_are_judged_by_one_rule(tmp_path: Path) -> None:
    _, found = joined(tmp_path, measured("p", [0.5, 0.48, 0.1]))
    assert interval(found.lines[0].found) == "(0.2, 0.36]"
    assert interval(found.judged["p"]) == "(0.2, 0.36]"
    _, loose = joined(tmp_path, measured("p", [0.5, 0.48, 0.1]), Tolerance(Margin(0.2)))
    assert interval(loose.lines[0].found) == "(0.36, 0.488]"
    assert interval(loose.judged["p"]) == "none up to 0.36"


def test_a_lower_score_is_better_where_the_task_says_so(tmp_path: Path) -> None:
    _, found = joined(tmp_path, measured("p", [0.49, 0.6]), about={"higher_is_better": False})
    assert interval(found.lines[0].found) == "(0.2, 0.36]"
    assert found.judged["p"].first_fail == 0.2


def test_cells_without_a_value_keep_their_verdict(tmp_path: Path) -> None:
    broken = CellResult(Cell("t", "p", 0.36, 0, "after"), Verdict.ERROR, "accuracy", 0.5, error="odd")
    _, found = joined(tmp_path, [*measured("p", [0.5]), broken])
    assert interval(found.lines[0].found) == "none up to 0.2 (error elsewhere)"
    assert found.lines[0].values == {0.2: 0.5}


def test_the_levels_are_those_of_either_for_the_pruners_of_the_run(tmp_path: Path) -> None:
    _, found = joined(tmp_path, [*measured("q", [0.5])])
    assert (found.pruners, found.levels) == (["q"], [0.2])
    _, found = joined(tmp_path, [*measured("p", [0.5])])
    assert found.levels == [0.2, 0.36]


def test_folds_are_joined_by_what_they_have_together(tmp_path: Path) -> None:
    results = [
        replace(result, cell=replace(result.cell, pool=(0, 1)), pooled=Pooled(0.45, 0.5, 200, (0, 1)))
        for seed in (0, 1)
        for result in measured("p", [0.4 + 0.1 * seed], seed=seed)
    ]
    _, found = joined(tmp_path, results, folds=5)
    (line,) = found.lines
    assert (line.found.seeds, line.values, line.dense) == ((0, 1), {0.2: 0.45}, 0.5)
    assert found.differs == ["2 of 5 folds"]


def test_what_is_not_as_published_is_named(tmp_path: Path) -> None:
    options = {"scope": "backbone", "limit": 50}
    about = {"params": {"recipe": "small", "width": 3}}
    _, found = joined(
        tmp_path, measured("p", [0.5]), None, options, about, params=Params(), published_params=Params("paper")
    )
    assert found.differs == ["recipe=small (published: paper)", "scope=backbone (published: paper)", "limit=50"]
    assert found.caveat.startswith("other than published: recipe=small (published: paper), ")
    assert found.caveat.endswith("; so compare the order of the pruners, not their values")


def test_without_published_params_the_defaults_are_the_published_ones(tmp_path: Path) -> None:
    about = {"params": {"recipe": "small", "width": 5, "more": 1}}
    _, found = joined(tmp_path, measured("p", [0.5]), about=about, params=Params())
    assert found.differs == ["width=5 (published: 3)", "more=1"]
    _, found = joined(tmp_path, measured("p", [0.5]), about={"params": {"width": 3}}, params=Params())
    assert found.differs == ["recipe=unknown (published: small)"]


def test_even_with_equal_parameters_equal_values_are_not_promised(tmp_path: Path) -> None:
    _, found = joined(tmp_path, measured("p", [0.5]))
    assert (found.differs, found.caveat.endswith("so values need not agree")) == ([], True)


def test_a_first_fail_that_rests_on_an_uncertain_point_is_known(tmp_path: Path) -> None:
    _, found = joined(tmp_path, measured("p", [0.5]))
    assert found.is_uncertain("p")
    _, lower = joined(tmp_path, measured("p", [0.5]), about={"higher_is_better": False})
    assert interval(lower.judged["p"]).startswith("(-, 0.2]")
    assert not lower.is_uncertain("p")


def test_the_joined_data_hold_both_curves(tmp_path: Path) -> None:
    _, found = joined(tmp_path, measured("p", [0.5, 0.48, 0.1]))
    data = found.to_json()
    assert (data["unit"], data["published_dense"]["value"], data["notes"]) == ("fraction", 0.8, ["p at 0.36: hidden"])
    (curve,) = data["curves"]
    assert (curve["pruner"], curve["seeds"], curve["dense"]) == ("p", [0], 0.5)
    assert curve["first_fail"] == curve["published_first_fail"]
    assert curve["first_fail"] == {"last_pass": 0.2, "first_fail": 0.36, "monotone": True}
    published = {"value": 0.7, "uncertain": True, "source": "figure 1 (digitised)", "note": "hidden"}
    assert curve["levels"][1:] == [
        {"level": 0.36, "value": 0.48, "published": published},
        {"level": 0.488, "value": 0.1, "published": None},
    ]


def printed(folder: Path, results: Sequence[CellResult], width: int = 200, **given: Any) -> str:
    run, found = joined(folder, results, **given)
    stream = io.StringIO()
    show(Console(file=stream, width=width, highlight=False, emoji=False, soft_wrap=True), run, found)
    return stream.getvalue()


def rows(text: str) -> list[list[str]]:
    return [[word.strip() for word in line.split("  ") if word.strip()] for line in text.splitlines() if line.strip()]


def test_ours_stands_above_the_published_line_and_what_must_be_known_below(tmp_path: Path) -> None:
    text = printed(tmp_path, [*measured("p", [0.5, 0.48]), *measured("q", [0.4])])
    assert rows(text) == [
        ["t"],
        ["accuracy in % by level; dense 50.00 % here, 80.00 % published"],
        ["pruner", "first fail", "0.2", "0.36"],
        ["─" * len(rows(text)[3][0])],
        ["p", "here", "(0.2, 0.36]", "50.0", "48.0"],
        ["published", "(0.2, 0.36] ?", "81.0", "70.0?"],
        ["q", "here", "(-, 0.2]", "40.0"],
        ["both are judged alike: a drop of more than 1 % of dense fails"],
        ["? an uncertain reading, and a first fail that rests on one"],
        ["published: figure 1 (digitised); one run"],
        ["p at 0.36: hidden"],
        ["nothing published: q"],
        ["published, and not in this run: elsewhere"],
        ["parameters as published; code and draws are ours and the data may be others, so values need not agree"],
    ]


def test_every_seed_has_its_line_above_one_published(tmp_path: Path) -> None:
    text = printed(tmp_path, [*measured("p", [0.5]), *measured("p", [0.4], seed=1)])
    assert [row[:3] for row in rows(text)[4:7]] == [
        ["p", "here, seed 0", "none up to 0.2"],
        ["here, seed 1", "(-, 0.2]", "40.0"],
        ["published", "(0.2, 0.36] ?", "81.0"],
    ]


def test_bleu_has_two_decimals_and_no_percent(tmp_path: Path) -> None:
    text = printed(tmp_path, measured("p", [0.5]), about={"unit": "BLEU"})
    assert "accuracy by level; dense 0.50 BLEU here, 0.80 BLEU published" in text
    assert ["published", "(0.2, 0.36] ?", "0.81", "0.70?"] in rows(text)


@pytest.mark.parametrize("width", [40, 60, 80])
def test_a_narrow_screen_gets_further_tables_and_loses_nothing(tmp_path: Path, width: int) -> None:
    text = printed(tmp_path, measured("p", [0.5, 0.48, 0.1]), width=width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    for word in ("0.2", "0.36", "0.488", "50.0", "48.0", "10.0", "81.0", "70.0?", "uncertain"):
        assert word in text


def test_markup_in_names_is_text(tmp_path: Path) -> None:
    assert "[red]p" in printed(tmp_path, measured("[red]p", [0.5]))
