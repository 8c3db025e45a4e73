"""The page as people use it: in Chromium, from a file, without a network."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from smc_harness.report import rerun
from smc_harness.report.page.render import render
from smc_harness.report.published import Curves, Point
from smc_harness.report.saved import SavedRun, read
from tests.report import runs
from tests.workshop import ROOT

pytestmark = pytest.mark.browser

QUIET = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run", "--disable-sync",
         "--disable-component-update")  # fmt: skip
PAPER = Curves(Point(0.95), {"snip": {0.2: Point(0.94, True, "Figure 9 (read by eye)"), 0.36: Point(0.5)}})
SMALL = runs.run(["one", "two"], ["snip", "gmp", "obert", "lth"])
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
UNNAMED = """() => {
    const name = (element) =>
        element.getAttribute("aria-label") ?? element.labels?.[0]?.textContent ?? element.textContent;
    return [...document.querySelectorAll("button, input, select, a, summary, [role=region]")]
        .filter((element) => !name(element).trim()).map((element) => element.outerHTML);
}"""
Open = Callable[..., Any]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    path = shutil.which("chromium")
    if path is None:
        (pytest.fail if os.environ.get("SMC_BROWSER") == "required" else pytest.skip)("no chromium: `make browser`")
    sync = pytest.importorskip("playwright.sync_api")
    with sync.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(QUIET))
        yield browser
        browser.close()


@pytest.fixture
def page_of(chromium: Any, tmp_path: Path) -> Iterator[Open]:
    """Opens the page of a run, and in the end finds that it asked for nothing and complained of nothing."""
    said: list[str] = []
    asked: list[str] = []
    contexts = []

    def open_page(run: SavedRun, published: dict[str, Curves] | None = None, **screen: Any) -> Any:
        file = tmp_path / "page.html"
        file.write_text(render(run, published), encoding="utf-8")
        context = chromium.new_context(**({"viewport": {"width": 1280, "height": 900}} | screen))
        contexts.append(context)
        context.set_offline(True)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(file.as_uri())
        page.wait_for_selector("html[data-drawn], #no-curves", state="attached")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert said == []
    assert {url.partition(":")[0] for url in asked} == {"file"}
    assert len(asked) == len(contexts)


def first_column(page: Any, table: str) -> list[str]:
    return [text.strip() for text in page.locator(f"{table} tbody tr > :first-child").all_inner_texts()]


def marks(page: Any) -> Any:
    """The marks of the first chart, those of published curves included."""
    return page.locator("#charts section:first-child path[aria-roledescription=point]")


def become(marks: Any, count: int) -> None:
    """Wait until there are so many: a chart is drawn anew a moment after a choice."""
    from playwright.sync_api import expect

    expect(marks).to_have_count(count)


@pytest.mark.parametrize("key", ["click", "Enter", "Space"])
def test_the_matrix_is_sorted_by_pointer_and_by_key(page_of: Open, key: str) -> None:
    page = page_of(SMALL)
    assert first_column(page, "#matrix") == ["snip", "gmp", "obert", "lth"]
    head = page.locator("#matrix thead th", has_text="one")
    for direction, order in (("ascending", 1), ("descending", -1)):
        button = head.get_by_role("button")
        if key == "click":
            button.click()
        else:
            button.focus()
            page.keyboard.press(key)
        assert head.get_attribute("aria-sort") == direction
        assert first_column(page, "#matrix") == ["snip", "gmp", "obert", "lth"][::order]
    assert page.locator("#matrix [aria-sort]").count() == 1


def test_what_failed_first_comes_first_and_what_is_not_known_last(page_of: Open) -> None:
    page = page_of(runs.run(["one", "two"], [f"p{n:02}" for n in range(11)]))
    button = page.locator("#matrix thead th", has_text="two").get_by_role("button")
    button.click()
    assert first_column(page, "#matrix") == ["p10", *(f"p{n:02}" for n in range(10))]  # p09 nowhere fails
    button.click()
    assert first_column(page, "#matrix") == [*(f"p{n:02}" for n in reversed(range(10))), "p10"]


def test_a_curve_is_hidden_and_shown(page_of: Open) -> None:
    page = page_of(SMALL)
    become(marks(page), 10)
    box = page.get_by_role("checkbox", name="obert")
    box.uncheck()
    become(marks(page), 7)
    page.get_by_role("button", name="none").click()
    become(marks(page), 0)
    box.focus()
    page.keyboard.press("Space")
    become(marks(page), 3)


def tooltip(page: Any, mark: Any, finger: bool = False) -> str:
    if finger:
        mark.scroll_into_view_if_needed()
        mark.tap(force=True)
    else:
        mark.hover(force=True)
    shown = page.locator("#tip")
    shown.wait_for()
    return " ".join(shown.inner_text().split())


@pytest.mark.parametrize("screen", [{}, PHONE], ids=["pointer", "finger"])
def test_a_mark_tells_its_numbers(page_of: Open, screen: dict[str, Any]) -> None:
    page = page_of(runs.run(["one"], ["snip"]), **screen)
    assert marks(page).first.get_attribute("aria-label") == "snip at 0.2: 70.00 %, fail"
    told = tooltip(page, marks(page).first, finger=bool(screen))
    assert told == "pruner snip sparsity 0.2 accuracy 70.00 % interval 68.29 % to 71.66 % verdict fail"


def test_the_papers_curve_is_laid_over(page_of: Open) -> None:
    page = page_of(runs.run(["one"], ["snip"]), {"one": PAPER})
    points = marks(page)
    become(points, 1)
    page.get_by_role("checkbox", name="as published").check()
    become(points, 3)
    assert tooltip(page, points.first) == (
        "as published snip sparsity 0.2 accuracy 94.00 % source Figure 9 (read by eye); uncertain"
    )
    assert "published dense 95.00 %" in page.locator("#charts").inner_text()


def test_names_are_text_whatever_they_are(page_of: Open) -> None:
    page = page_of(runs.hostile())
    assert first_column(page, "#matrix") == [runs.MARKUP, "{{ 7 * 7 }}", "usual"]
    shown = runs.QUOTES.replace("\n", "\\n")
    assert page.locator("#matrix thead button").nth(2).inner_text() == shown
    assert page.locator("#charts h3").first.inner_text() == shown
    assert runs.MARKUP in tooltip(page, marks(page).first)
    page.locator("#cells-body tbody button").first.click()
    assert "[0.2,seed0]'" in page.locator(".detail code").inner_text()


def test_cells_are_found_and_opened(page_of: Open) -> None:
    page = page_of(SMALL)
    page.get_by_role("searchbox").fill("gmp two")
    page.get_by_role("combobox", name="verdict").select_option("fail")
    assert page.locator("#cells-body [role=status]").inner_text() == "1 of 80 rows"
    opener = page.locator("#cells-body tbody [aria-expanded]")
    assert opener.inner_text() == "two::gmp[0.488,seed0]"
    opener.press("Enter")
    assert opener.get_attribute("aria-expanded") == "true"
    cell = next(result.cell for result in SMALL.results if result.cell.id == "two::gmp[0.488,seed0]")
    assert page.locator(".detail code").inner_text() == rerun.command(SMALL, cell)
    page.get_by_role("button", name="copy").click()
    assert page.evaluate("getSelection().toString()") == rerun.command(SMALL, cell)
    page.get_by_role("button", name="its densities").click()
    assert page.get_by_role("combobox", name="pruner").locator("option:checked").inner_text() == "gmp"
    assert page.get_by_role("combobox", name="task").locator("option:checked").inner_text() == "two"
    assert page.locator(".heat thead th").all_inner_texts() == ["tensor", "0.2", "0.36", "0.488"]
    assert page.locator(".heat tbody tr").first.locator("td").all_inner_texts() == ["80", "64", "51"]
    opener.press("Enter")
    assert page.locator(".detail").count() == 0


def test_cost_stands_beside_quality(page_of: Open) -> None:
    page = page_of(SMALL)
    rows = page.locator("#cost-body tbody tr")
    assert rows.nth(1).locator("th, td").all_inner_texts() == [
        *("gmp", "one", "0.2", "2", "1,400", "4,000", "8.40", "300 MiB")
    ]


def test_five_thousand_cells_are_small_and_sorted(page_of: Open) -> None:
    run = runs.large()
    assert len(run.results) == 5000
    assert len(render(run).encode()) < 5e6
    page = page_of(run)
    page.locator("#cells-body thead button", has_text="score").click()
    assert page.locator("#cells-body tbody tr").first.inner_text().startswith("task-00::pruner-00[0.95,seed0]")
    assert page.locator("#cells-body tbody tr").count() < 100
    page.get_by_role("searchbox").fill("pruner-24")
    assert page.locator("#cells-body [role=status]").inner_text() == "200 of 5,000 rows"


@pytest.mark.parametrize("screen", [{}, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize(
    "run", [SMALL, runs.hostile(), runs.broken(), runs.empty()], ids=["small", "hostile", "broken", "empty"]
)
def test_nothing_is_wider_than_the_screen_or_nameless(page_of: Open, run: SavedRun, screen: dict[str, Any]) -> None:
    page = page_of(run, **screen)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate(UNNAMED) == []
    assert page.locator("h1").count() == page.locator("main").count() == 1
    levels = page.evaluate("[...document.querySelectorAll('h1, h2, h3')].map((head) => Number(head.tagName[1]))")
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_it_is_dark_where_that_is_wanted(page_of: Open) -> None:
    def light(colour: str) -> float:
        page = page_of(SMALL, color_scheme=colour)
        text = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(map(float, text.removeprefix("rgb(").rstrip(")").split(",")))

    assert light("dark") < 150 < 600 < light("light")


def test_all_rows_are_printed_and_no_controls(page_of: Open) -> None:
    page = page_of(SMALL)
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("#cells-body tbody tr").count() == 80
    assert page.locator("#charts td", has_text="90.00 %").first.is_visible()
    assert not page.get_by_role("searchbox").is_visible()
    assert not page.locator(".more").first.is_visible()
    assert len(page.pdf()) > 10_000


def test_the_first_tab_skips_to_the_results(page_of: Open) -> None:
    page = page_of(SMALL)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the results"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "first-fail"


def test_a_study_of_ours_is_shown(page_of: Open) -> None:
    page = page_of(read(ROOT / "docs/results/mawps-graph2tree.json"))
    assert (
        "11 pruners on 1 task, at 10 levels of sparsity, with 1 seed: 110 cells." in page.locator("header").inner_text()
    )
    assert page.locator("#matrix tbody tr").count() == 11
