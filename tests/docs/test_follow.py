"""The tutorial is followed to the letter, in an empty folder."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs.follow import PAGE, follow, steps


def shape(output: str) -> list[str]:
    """The lines without what differs by machine and by load: numbers, and in which order cells were done."""
    lines = (re.sub(r"-?\d[\d.]*( \d{3})?", "#", line).rstrip() for line in output.splitlines())
    return sorted(re.sub(r" \?$|\+cpu| in # s|─+", "", line) for line in lines if line)


def intervals(output: str) -> list[str]:
    """The rows of the table of first fails."""
    return re.findall(r"^ (\S+ +after +.*?)(?: \?)? *$", output, re.MULTILINE)


def test_every_command_is_a_step_and_is_followed_by_what_it_says() -> None:
    languages = [language for language, _ in steps()]
    assert languages.count("sh") > 5
    for language, after in zip(languages, [*languages[1:], ""], strict=True):
        assert (after == "text") == (language == "sh")
    for language, block in steps():
        assert language != "sh" or re.fullmatch("smc-harness .*\n", block)


def test_every_step_of_the_tutorial_is_understood(tmp_path: Path) -> None:
    """By the command line, with the files that are there at that point."""
    counts = [re.findall(r"\b(\d+) cells", collected)[-1] for _, collected in follow(tmp_path, collect_only=True)]
    assert counts == re.findall(r"^collected (\d+) cells", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_tutorial_ends_as_it_says(tmp_path: Path) -> None:
    ran = list(follow(tmp_path))
    assert sum(bool(intervals(shown)) for shown, _ in ran) > 5
    for shown, came in ran:
        assert shape(came) == shape(shown), "python -m docs.follow writes it anew"
        assert intervals(came) == intervals(shown)
    assert (tmp_path / "page.html").stat().st_size > 100_000
