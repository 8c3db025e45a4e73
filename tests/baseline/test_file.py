"""The file: what was written is read back, and anything else is one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smc_harness.baseline.entries import Entry, Point, Precision, Subject
from smc_harness.baseline.file import is_baseline, read, text_of
from smc_harness.cells import Verdict
from smc_harness.errors import UsageError
from smc_harness.verdict.first_fail import FirstFail
from tests.baseline.making import entry, keyed, point

NAMES = st.text(min_size=1, max_size=5)
SCORES = st.floats(-1e3, 1e3)
SEEDS = st.integers(0, 12)
LEVELS = st.floats(0, 0.99)


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    task, pruner = draw(NAMES), draw(NAMES)
    places = draw(st.lists(st.tuples(LEVELS, SEEDS), unique=True, max_size=3))
    precisions = st.none() | st.builds(Precision, st.floats(0, 1), st.integers(2, 9000))
    outcomes = st.none() | NAMES
    points = [
        Point(*place, *map(draw, (SCORES, st.integers(1, 9000), st.sampled_from(Verdict), precisions, outcomes)))
        for place in places
    ]
    values = st.none() | st.booleans() | st.integers() | SCORES | NAMES | st.lists(NAMES, max_size=2)
    subject = Subject(
        *(draw(st.none() | NAMES) for _ in range(2)),
        draw(st.booleans()),
        draw(st.none() | st.integers(1, 9000)),
        draw(st.dictionaries(SEEDS, SCORES, max_size=3)),
        draw(st.dictionaries(NAMES, values, max_size=3)),
        draw(st.none() | st.dictionaries(SEEDS, NAMES, max_size=2)),
    )
    seeds = tuple(draw(st.lists(SEEDS, min_size=1, max_size=3)))
    last, first = draw(st.none() | LEVELS), draw(st.none() | LEVELS)
    found = FirstFail(
        task, pruner, seeds[0], last, first, draw(st.booleans()), last if first is None else first, None, seeds
    )
    versions = draw(st.dictionaries(NAMES, NAMES, max_size=2))
    options = draw(st.dictionaries(NAMES, values, max_size=2))
    return Entry(task, pruner, draw(NAMES), draw(NAMES), versions, options, subject, [found], points)


@given(st.lists(entries(), max_size=2))
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_what_was_written_is_read_back_to_the_bit(tmp_path_factory: pytest.TempPathFactory, found: list[Entry]) -> None:
    path = tmp_path_factory.mktemp("kept") / "b.json"
    text = text_of(keyed(*found))
    path.write_text(text)
    assert read(path) == keyed(*found)
    assert text_of(read(path)) == text
    assert text_of(keyed(*reversed(keyed(*found).values()))) == text
    assert is_baseline(path)


def test_another_score_is_another_line_and_no_more() -> None:
    texts = [
        text_of(keyed(entry([point(0.9), point(value, 0.36)]), entry([point(0.5)], pruner="q")))
        for value in (0.8, 0.75)
    ]
    differ = [pair for pair in zip(*(text.splitlines() for text in texts), strict=True) if pair[0] != pair[1]]
    ((was, now),) = differ
    assert '"level": 0.36' in was
    assert now == was.replace("0.8", "0.75")


def test_no_outcome_of_an_example_is_in_the_file() -> None:
    points = [point(0.9, level / 100, key="k" * 40) for level in range(10)]
    assert len(text_of(keyed(entry(points)))) < 3000


def changed(change: Callable[[Any], Any]) -> str:
    found = json.loads(text_of(keyed(entry([point(0.9)]), entry([point(0.9)], pruner="q"))))
    change(found)
    return json.dumps(found)


def cell(**other: Any) -> str:
    return changed(lambda f: f["entries"][0]["cells"][0].update(other))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "Expecting value: line 1 column 1 (char 0)"),
        ("<<<<<<< HEAD\n{}", "Expecting value: line 1 column 1 (char 0)"),
        ("[" * 100_000, "maximum recursion depth"),
        ('{"kind": NaN}', "it holds NaN, which is no JSON"),
        ("[1]", "this is no baseline"),
        ('{"kind": "odd"}', "this is no baseline"),
        ('{"cells": []}', "these are the results of a run, which smc-harness compare RUN BASELINE takes"),
        (changed(lambda f: f.update(schema=2)), "it has schema 2, and this smc-harness reads schema 1"),
        (changed(lambda f: f.update(schema=True)), "it has schema True"),
        (changed(lambda f: f.pop("entries")), "entries is missing"),
        (changed(lambda f: f["entries"].append(f["entries"][0])), "it has a task and pruner twice"),
        (changed(lambda f: f["entries"][0].update(pruner=3)), "entries[0].pruner is 3"),
        (changed(lambda f: f["entries"][0]["versions"].update(torch=2)), "entries[0].versions.torch is 2"),
        (changed(lambda f: f["entries"][0]["subject"].pop("n")), "entries[0].subject.n is missing"),
        (changed(lambda f: f["entries"][0]["subject"]["dense"].update(x=1)), "entries[0].subject.dense has 'x', which"),
        (changed(lambda f: f["entries"][0]["first_fail"][0].update(seeds=[])), "first_fail[0].seeds is []"),
        (changed(lambda f: f["entries"][0]["cells"].append(f["entries"][0]["cells"][0])), "cells has a level twice"),
        (cell(value="high"), "entries[0].cells[0].value is 'high'"),
        (cell(value=10**400), "int too large to convert to float"),
        (cell(verdict="odd"), "entries[0].cells[0].verdict is 'odd', which is none of pass,"),
        (cell(n=0), "entries[0].cells[0].n is 0"),
        (cell(error=-1.0), "entries[0].cells[0] has an error of -1.0 from 2000 clusters"),
        (cell(clusters=1), "entries[0].cells[0] has an error of 0.01 from 1 clusters"),
    ],
)  # fmt: skip
def test_what_is_no_baseline_is_one_line_that_says_where(text: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "b.json"
    path.write_text(text)
    with pytest.raises(UsageError) as raised:
        read(path)
    assert str(raised.value).startswith(f"{path}: ")
    assert reason in str(raised.value)
    assert str(raised.value).endswith("; a file that --update-baseline wrote would work")


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "b.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="codec can't decode"):
        read(tmp_path / "b.json")
    assert not is_baseline(tmp_path / "b.json")


def test_an_error_without_its_clusters_is_none(tmp_path: Path) -> None:
    (tmp_path / "b.json").write_text(cell(clusters=None))
    found = read(tmp_path / "b.json")["t", "p"].points[0]
    assert found == replace(point(0.9), precision=None)
