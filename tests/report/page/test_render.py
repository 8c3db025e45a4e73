from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from smc_harness.cells import Cell, CellResult, Verdict
from smc_harness.report.page.render import embedded, render, script
from smc_harness.report.saved import SavedRun, of
from tests.report import runs
from tests.report.saving import saved

SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)


class Reader(HTMLParser):
    """Tags as a browser sees them, and what is addressed in their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "action")]


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    return reader


def test_embedded_json_reads_back_and_holds_nothing_that_html_heeds() -> None:
    value = {"name": "</script><!-- & \u2028\u2029", "é": [1, None]}
    text = embedded(value)
    assert json.loads(text) == value
    assert not set(text) & set("<>&\u2028\u2029")


def test_code_that_names_a_tag_does_not_end_its_element() -> None:
    assert script("'</SCRIPT><script><!--' < 3") == r"'\x3c/SCRIPT>\x3cscript>\x3c!--' < 3"


@pytest.mark.parametrize(
    "run",
    [runs.run(["one"], ["snip"]), runs.run(["one"], ["snip"], 3), runs.hostile(), runs.broken(), runs.empty()],
    ids=["one seed", "three seeds", "hostile", "broken", "empty"],
)
def test_a_page_is_whole_and_asks_for_nothing(run: SavedRun) -> None:
    page = read(render(run))
    assert page.tags.count("script") == 3  # the data, the library, and ours
    assert page.tags.count("table") >= (1 if run.tasks else 0)
    assert all(address.startswith("#") for address in page.addresses)


def test_only_the_scripts_of_the_page_may_run() -> None:
    text = render(runs.hostile())
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)
    hashes = [base64.b64encode(hashlib.sha256(code.encode()).digest()).decode() for code in SCRIPT.findall(text)]
    assert policy.replace("&#39;", "'").startswith("default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-")
    assert [f"sha256-{name}" in policy.replace("&#39;", "'") for name in hashes] == [True, True]
    assert "unsafe-eval" not in policy


def test_names_are_escaped() -> None:
    text = render(runs.hostile())
    assert runs.MARKUP not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "{{ 7 * 7 }}" in text


def test_a_run_without_cells_and_one_that_was_interrupted_say_so() -> None:
    assert "This run has no cells" in render(runs.empty())
    run = runs.run(["one"], ["snip"])
    run.session["interrupted"] = True  # type: ignore[index]
    assert "The run was interrupted" in render(run)


def test_what_went_wrong_is_said_once_and_what_mask_and_predictions_tell_of_first_fails() -> None:
    text = render(runs.broken())
    assert text.count("and 9 more of its levels: raised &lt;script&gt;") == 1
    measured = replace(runs.measured(0.1, 0.5), diagnosis=["a constant prediction"])
    failed = CellResult(Cell("one", "snip", 0.5, 0, "after"), Verdict.FAIL, "accuracy", 0.9, measured)
    assert "<b>one::snip[0.5,seed0]</b> a constant prediction" in render(of(saved([failed])))
