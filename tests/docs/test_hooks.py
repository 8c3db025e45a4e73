"""The page on hooks follows from the contract."""

from __future__ import annotations

import ast
import inspect
import re

import pytest

from docs.generate import hooks
from docs.generate.docstrings import described
from smc_harness.discovery.loading import _AXES, _OF_PARAMETERS
from tests.workshop import ROOT

PAGE = hooks.PAGE.read_text(encoding="utf-8")
HOOKS = list(hooks.hooks())


def attributes() -> set[str]:
    return set(re.findall(r"^\| `(\w+)` \|", PAGE.partition("## Attributes")[2], re.MULTILINE))


def test_the_page_is_what_the_contract_says() -> None:
    assert hooks.page() == PAGE, "python -m docs.generate writes it anew"


def test_every_hook_has_a_section_in_the_order_of_the_file() -> None:
    assert re.findall(r"^### (\w+)$", PAGE.partition("## Attributes")[0], re.MULTILINE) == HOOKS


@pytest.mark.parametrize("name", HOOKS)
def test_every_argument_of_a_hook_but_the_usual_ones_is_described(name: str) -> None:
    hook = hooks.hooks()[name]
    arguments = [*inspect.signature(hook).parameters]
    _, found = described(hook.__doc__ or "", [*arguments, *hooks.LABELS])
    usual = {"model", "context"}
    assert set(arguments) - usual <= set(found)
    assert "When" in found


@pytest.mark.parametrize("name", HOOKS)
def test_an_example_is_python(name: str) -> None:
    _, found = described(hooks.hooks()[name].__doc__ or "", hooks.LABELS)
    if "Example" in found:
        (source,) = re.findall(r"^`(.*)`\.$", found["Example"])
        ast.parse(source)


def test_every_attribute_that_the_harness_reads_is_on_the_page() -> None:
    read = set(_AXES) | set(_OF_PARAMETERS)
    for file in (ROOT / "smc_harness").rglob("*.py"):
        read |= set(re.findall(r'\.declared\("(\w+)"', file.read_text(encoding="utf-8")))
    assert {"chance", "folds", "phase"} <= read
    assert read <= attributes()
