"""The page on configuration shows what works, and names what the code reads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from smc_harness.cli.run import parser
from smc_harness.config import parse
from tests.workshop import ROOT

PAGE = (ROOT / "docs/reference/configuration.md").read_text(encoding="utf-8")


def test_the_table_that_is_shown_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (table,) = re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    (tmp_path / "pyproject.toml").write_text(table)
    monkeypatch.chdir(tmp_path)
    options = parse(parser(), [])
    assert (options.collect, options.tasks) == (["plugins/"], "commonsense-mini,protein-mini")
    assert (options.tolerance, options.strict) == (["0.02", "translation-*=0.5abs"], True)


def test_every_variable_that_the_code_reads_is_named() -> None:
    read = set()
    for file in (ROOT / "smc_harness").rglob("*.py"):
        read |= set(re.findall(r'environ\.get\("(\w+)"', file.read_text(encoding="utf-8")))
    read.remove("PYTHONHASHSEED")  # which workers fix
    assert {"GITHUB_ACTIONS", "WANDB_PROJECT"} <= read
    assert read <= set(re.findall(r"`(\w+)`", PAGE.partition("## Environment")[2]))
