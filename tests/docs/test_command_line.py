"""The page on the command line follows from the parsers."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from docs.generate import command_line
from smc_harness.cli import COMMANDS
from smc_harness.errors import ExitCode
from tests.workshop import Ran

PAGE = command_line.PAGE.read_text(encoding="utf-8")


def test_the_page_is_what_the_parsers_say() -> None:
    assert command_line.page() == PAGE, "python -m docs.generate writes it anew"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_that_help_shows_is_on_the_page(name: str, command: Callable[..., Ran]) -> None:
    """Of a command as it is typed, so that a parser that is not the command's own is noticed."""
    shown = command(name, "--help").out
    section = PAGE.partition(f"## smc-harness {name}\n")[2].partition("\n## ")[0]
    options = set(re.findall(r"^  (?:-\w[ ,].*?)?(--[\w-]+)", shown, re.MULTILINE))
    of_others = {"--help"}
    assert options - of_others <= set(re.findall(r"`(--[\w-]+)", section))


def test_every_exit_code_has_a_meaning() -> None:
    meanings = command_line.exit_codes()
    assert set(meanings) == set(ExitCode)
    for code, meaning in meanings.items():
        assert f"| {code.value} | `{code.name}` | {meaning} |" in PAGE
