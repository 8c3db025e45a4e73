"""Fixtures that several rooms' tests share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.workshop import Ran, Workshop


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., Ran]]:
    """The command line in this process, in an empty folder: quick, for what ends before a worker starts."""
    from smc_harness.cli import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SMC_HARNESS_ADDOPTS", raising=False)
    before = set(sys.modules), list(sys.path)

    def run(*arguments: str) -> Ran:
        try:
            code = main(list(arguments))
        except SystemExit as stop:
            code = int(stop.code or 0)
        captured = capsys.readouterr()
        return Ran(int(code), captured.out, captured.err)

    yield run
    for name in set(sys.modules) - before[0]:
        if getattr(sys.modules[name], "__file__", None) and str(tmp_path) in str(sys.modules[name].__file__):
            del sys.modules[name]
    sys.path[:] = before[1]
