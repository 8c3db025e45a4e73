from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from smc_harness.discovery.loading import Plugin
from smc_harness.errors import PluginError
from smc_harness.report.published import Curves, Point, notes, published
from smc_harness.report.tables import interval
from smc_harness.verdict.margin import Margin
from smc_harness.verdict.rule import Tolerance
from tests.toys import plugin

TABLE = """\
task,pruner,level,value,uncertain,figure,reading,note
t,p,0.5,0.6,true,figure 1,digitised,odd
t,p,0.2,0.79,false,figure 1,exact,
t,dense,0,0.8,,,,
u,p,0.2,7.5,,,,
"""


def task(folder: Path, table: str | None = TABLE, **declared: Any) -> Plugin:
    if table is not None:
        (folder / "curves.csv").write_text(table)
    hooks = SimpleNamespace(**{"published_curves": "../curves.csv"} | declared)
    (folder / "plugins").mkdir(exist_ok=True)
    return replace(plugin("task", "t", hooks), file=folder / "plugins" / "t.py")


def test_the_rows_of_a_task_are_its_curves_by_pruner_and_level(tmp_path: Path) -> None:
    found = published(task(tmp_path))
    assert found is not None
    assert found.dense == Point(0.8)
    assert found.points == {
        "p": {0.2: Point(0.79, False, "figure 1 (exact)"), 0.5: Point(0.6, True, "figure 1 (digitised)", "odd")}
    }
    assert list(found.points["p"]) == [0.2, 0.5]


def test_only_four_columns_are_needed(tmp_path: Path) -> None:
    found = published(task(tmp_path, "value,level,pruner,task\n0.8,0,dense,t\n0.5,0.2,p,t\n"))
    assert found == Curves(Point(0.8), {"p": {0.2: Point(0.5)}})


def test_a_task_that_declares_none_has_none(tmp_path: Path) -> None:
    assert published(plugin("task", "t", SimpleNamespace())) is None


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (None, "No such file or directory"),
        ("", "it has no column 'task'"),
        ("task,pruner,level\nt,p,0.2\n", "it has no column 'value'"),
        ("task,pruner,level,value\nt,dense,0,high\n", "could not convert string to float: 'high'"),
        ("task,pruner,level,value\nt,p,0.2,0.5\nt,p,0.20,0.5\n", "line 3 has 'p' at level 0.2 again"),
        ("task,pruner,level,value\nt,p,0.2,0.5\nu,dense,0,1\n", "no row of its own for 'dense' at level 0"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line_with_the_task(table: str | None, reason: str, tmp_path: Path) -> None:
    with pytest.raises(PluginError, match=r"^t: published_curves .*curves\.csv: ") as raised:
        published(task(tmp_path, table))
    assert reason in str(raised.value)


def test_a_declaration_that_names_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="published_curves is 3; the name of a CSV file beside it would work"):
        published(task(tmp_path, published_curves=3))


def test_published_curves_are_judged_by_the_same_rule() -> None:
    curves = Curves(Point(0.8), {"p": {0.2: Point(0.795), 0.5: Point(0.77)}, "q": {0.2: Point(0.9)}})
    strict, loose = curves.judged(Tolerance(Margin(0.01))), curves.judged(Tolerance(Margin(0.05)))
    assert [interval(strict[name]) for name in ("p", "q")] == ["(0.2, 0.5]", "none up to 0.2"]
    assert interval(loose["p"]) == "none up to 0.5"
    assert interval(curves.judged(Tolerance(Margin(0.01)), higher_is_better=False)["q"]) == "(-, 0.2]"


def test_a_note_is_said_once_with_its_pruners_and_where_it_holds() -> None:
    one, two = Point(0.5, note="one"), Point(0.5, note="two")
    curves = Curves(
        Point(1.0), {"p": {0.2: one, 0.5: one}, "q": {0.2: one}, "r": {0.2: Point(0.5), 0.5: two, 0.6: two}}
    )
    assert notes(curves, ["p", "q", "r", "s"]) == ["p, q: one", "r at 0.5, 0.6: two"]
    assert notes(curves, ["s"]) == []
