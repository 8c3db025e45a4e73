"""The page on the JSON file has every member that a run writes, and no other."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.workshop import ROOT, Ran, Workshop

PAGE = (ROOT / "docs/reference/json.md").read_text(encoding="utf-8")
NOT_ALWAYS = {"pooled", "added", "seeds", "evaluation"}
"""Members of some cells, first fails and tasks only."""


def described(section: str) -> set[str]:
    text = PAGE.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    cells = re.findall(r"^\| (`[^|]*) \|", text, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}


@pytest.fixture
def found(command: Callable[..., Ran], workshop: Workshop) -> dict[str, Any]:
    workshop.toy()
    workshop.pruner("mine")
    words = ["--collect", "plugins", "--levels", "0.2,0.99", "-n", "0", "--tolerance", "0.25", "--seeds", "2"]
    ran = command(*words, "--controls", "--baseline", "base.json", "--update-baseline", "--json", "f.json")
    assert ran.code == 0, ran.err
    whole: dict[str, Any] = json.loads((workshop.folder / "f.json").read_text())
    return whole


def test_every_member_is_described_and_nothing_else(found: dict[str, Any]) -> None:
    assert described("The whole") == set(found)
    for section in ("session", "baseline"):
        assert described(section) == set(found[section])
    assert described("tasks") - NOT_ALWAYS == set(found["tasks"]["toy"])
    for section in ("cells", "first_fail", "over_seeds", "controls"):
        assert found[section]
        for one in found[section]:
            assert set(one) - NOT_ALWAYS == described(section) - NOT_ALWAYS
