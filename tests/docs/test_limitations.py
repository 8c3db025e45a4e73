"""Errors that meet a known limitation lead to its section."""

from __future__ import annotations

import ast
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from markdown_it import MarkdownIt
from myst_parser.config.main import MdParserConfig
from myst_parser.mdit_to_docutils.base import default_slugify

from smc_harness import errors
from smc_harness.errors import PluginError, limitation, one_line
from tests.workshop import ROOT


def anchors() -> set[str]:
    """The anchors of the page, as the site has them and code hosts do."""
    assert MdParserConfig().heading_slug_func is None
    tokens = MarkdownIt().parse((ROOT / errors.LIMITATIONS).read_text(encoding="utf-8"))
    return {default_slugify(after.content) for before, after in pairwise(tokens) if before.type == "heading_open"}


def named() -> dict[str, Path]:
    """Every anchor that the code gives to `limitation`, with the file."""
    found = {}
    for folder in ("smc_harness", "plugins", "tasks"):
        for file in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "limitation":
                    (argument,) = node.args
                    if isinstance(argument, ast.Constant):
                        found[argument.value] = file
                    else:
                        assert file.name == "errors.py", f"{file.name}: an anchor that no test can see"
    return found | dict.fromkeys(errors._MET.values(), Path(errors.__file__))


def test_every_limitation_that_an_error_names_has_a_section() -> None:
    assert {"folds", "one-gpu"} <= named().keys()
    for anchor, file in named().items():
        assert anchor in anchors(), f"{file.name}: {anchor}"


def test_an_operation_without_a_repeatable_form_leads_to_the_section() -> None:
    torch.use_deterministic_algorithms(True)
    try:
        with pytest.raises(RuntimeError) as caught:
            torch.zeros(2).put_(torch.tensor([0]), torch.ones(1))
    finally:
        torch.use_deterministic_algorithms(False)
    assert one_line(caught.value).endswith(limitation("repeatable-on-a-gpu"))


def test_other_errors_lead_nowhere() -> None:
    assert "limitations" not in one_line(RuntimeError("shapes differ")) + one_line(PluginError("NaN in compute_scores"))
