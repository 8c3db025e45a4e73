"""The command that measures one cell of a run again, or finds it in the store."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from smc_harness.cells import Cell, show_level
from smc_harness.config import PAPER_LEVELS
from smc_harness.report.saved import SavedRun

USUAL: Mapping[str, Any] = {
    "collect": [],
    "plugins": [],
    "tasks": None,
    "pruners": None,
    "variant": [],
    "set": [],
    "controls": False,
    "seeds": 1,
    "seed": 0,
    "scope": "paper",
    "limit": None,
    "threads": 1,
    "device": "auto",
    "precision": "float32",
    "evaluate_in": None,
    "store": ".smc-harness",
    "data_dir": None,
    "model_dir": None,
    "verdict": "tolerance",
    "tolerance": [],
    "no_dense_check": False,
}
"""The options that say what a cell is and how it is judged, with their defaults. All others say which cells run, how
many at a time, or what is shown of them.
"""


def words(run: SavedRun) -> list[str]:
    """`smc-harness` and the options of the run that matter to its cells and are not the defaults."""
    return ["smc-harness", *_options(run, USUAL)]


def words_for(cell: Cell) -> list[str]:
    """What follows `words` for one cell: its level where that is not one of the usual ones, and its id."""
    return [*([] if cell.level in PAPER_LEVELS else ["--levels", show_level(cell.level)]), cell.id]


def command(run: SavedRun, cell: Cell) -> str:
    """As one types it into a shell."""
    return shlex.join([*words(run), *words_for(cell)])


def _options(run: SavedRun, usual: Mapping[str, Any]) -> list[str]:
    found: list[str] = []
    for name, default in usual.items():
        value = run.option(name)
        if value in (None, False, default):
            continue
        option = "-p" if name == "plugins" else f"--{name.replace('_', '-')}"
        for item in value if isinstance(value, list) else [value]:
            found += [option] if item is True else _valued(option, str(item))
    return found


def _valued(option: str, value: str) -> list[str]:
    """A value that looks like an option stands behind an equals sign."""
    return [f"{option}={value}"] if value.startswith("-") else [option, value]
