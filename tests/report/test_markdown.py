from __future__ import annotations

from collections.abc import Iterator
from xml.etree import ElementTree

import pytest
from markdown_it import MarkdownIt

from smc_harness.cells import Cell, CellResult, Measurement, Verdict, visible
from smc_harness.report.markdown import document
from smc_harness.report.saved import of
from tests.report.hostile import NAMES
from tests.report.saving import saved


def result(verdict: Verdict, task: str = "t", pruner: str = "p", level: float = 0.2, seed: int = 0) -> CellResult:
    measured = Measurement(0.75, 100, 2.5, realised=level)
    return CellResult(Cell(task, pruner, level, seed, "after"), verdict, "accuracy", 0.8125, measured)


def error(task: str, reason: str, level: float = 0.2) -> CellResult:
    return CellResult(Cell(task, "broken", level, 0, "before"), Verdict.ERROR, "accuracy", 0.8125, error=reason)


def written(*results: CellResult) -> str:
    return document(of(saved(results)))


def rendered(text: str) -> ElementTree.Element:
    """As GitHub does: HTML in it is HTML."""
    html = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(text)
    return ElementTree.fromstring(f"<body>{html}</body>")


def rows(text: str) -> Iterator[list[str]]:
    for row in rendered(text).iter("tr"):
        yield ["".join(cell.itertext()) for cell in row]


def test_the_table_is_that_of_the_terminal() -> None:
    results = [result(Verdict.PASS), result(Verdict.FAIL, level=0.36), result(Verdict.PASS, "u")]
    assert list(rows(written(*results))) == [
        ["pruner", "phase", "t", "u"],
        ["dense", "", "81.25 %", "81.25 %"],
        ["p", "after", "(0.2, 0.36]", "none up to 0.2"],
    ]


def test_of_several_seeds_there_are_lines() -> None:
    text = written(result(Verdict.PASS), result(Verdict.FAIL, level=0.36), result(Verdict.FAIL, seed=1))
    assert "| (-, 0.2]<br>0.2 to 0.36, 2 seeds |\n" in text
    assert "\n- of several seeds: the median one; where" in text


def test_an_error_is_named_once_with_what_it_cost() -> None:
    text = written(result(Verdict.PASS), error("t", "odd"), error("t", "odd", 0.5))
    assert "- ERROR `t::broken[0.2,seed0] and 1 more of its levels`: `odd`\n" in text
    assert text.endswith("\n1 passed, 2 error\n")


def test_without_cells_it_says_so() -> None:
    assert written() == "no cells\n"


@pytest.mark.parametrize("name", NAMES)
def test_any_name_and_any_error_are_text(name: str) -> None:
    text = written(result(Verdict.FAIL, name, name), error(name, visible(name)))
    head, _, first, second = rows(text)
    assert head[2] == visible(name)
    assert visible(name) in (first[0], second[0])
    page = rendered(text)
    assert {element.tag for element in page.iter()} <= {
        *("body", "table", "thead", "tbody", "tr", "th", "td", "code", "p", "ul", "li")
    }
    items = ["".join(item.itertext()) for item in page.iter("li")]
    assert f"ERROR {visible(f'{name}::broken[0.2,seed0]')}: {visible(name)}" in items
