"""Imports point one way, and the core names no task and no pruner."""

from __future__ import annotations

import ast
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from tests.workshop import ROOT

PACKAGE = ROOT / "smc_harness"

# From top to bottom: a room imports from itself and from rooms below it.
ROOMS = [
    "testing",
    "cli",
    "conformance",
    "scaffold",
    "report",
    "session",
    "baseline",
    "execution",
    "collection",
    "lifecycle",
    "training",
    "checkpoint",
    "conversation",
    "sparsity",
    "config",
    "discovery",
    "store",
    "verdict",
    "cells",
    "declarations",
    "documents",
    "hookspecs",
    "deprecated",
    "errors",
]


def room_of(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def imports(file: Path) -> list[str]:
    """Modules of ours that a file imports when it runs; imports for the type checker alone are no dependency."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            node.body = []
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("smc_harness"):
            found.append(node.module)
            found += [f"{node.module}.{alias.name}" for alias in node.names if node.module == "smc_harness"]
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.startswith("smc_harness")]
    return [module for module in found if room_of(module) in ROOMS]


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_from_rooms_below_it(room: str) -> None:
    files = list((PACKAGE / room).rglob("*.py")) or [PACKAGE / f"{room}.py"]
    for file in files:
        for module in imports(file):
            assert ROOMS.index(room_of(module)) >= ROOMS.index(room), f"{file.relative_to(ROOT)} imports {module}"


def test_every_module_is_in_a_room() -> None:
    present = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert present - {"__init__", "__main__"} == set(ROOMS)


def test_the_core_names_no_task_and_no_pruner() -> None:
    names = {point.name for kind in ("pruners", "tasks") for point in entry_points(group=f"smc_harness.{kind}")}
    assert {"snip", "commonsense-mini"} <= names
    names.remove("set")  # an option's name, too
    for file in PACKAGE.rglob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert node.value not in names, f"{file.relative_to(ROOT)}: {node.value}"
        assert "smc_pruners" not in file.read_text(encoding="utf-8").replace("entry point smc_pruners", "")
