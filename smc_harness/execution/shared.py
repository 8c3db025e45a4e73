"""What all workers of a run will import, so that it can be imported once, in the server that they are forked from.

A plugin's declaration is light and its hooks import what is heavy: that is read from their source, not run to be known.
What is imported elsewhere, by a function that a hook may or may not call, is left to whoever needs it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

from smc_harness.discovery.loading import Plugin
from smc_harness.store.identity import own_modules

OPTIMIZERS = "torch._dynamo"
"""Torch imports it when it makes the first optimiser: more than a second of every worker, and its largest part."""

_MARKER = "hookimpl"


def names(plugins: Iterable[Plugin]) -> list[str]:
    """Modules, and what is imported from modules, as dotted names in the order in which they are to be imported.

    Of installed plugins only: a collected file is imported where it is run, and nowhere else.
    """
    files = dict.fromkeys(plugin.file for plugin in plugins if plugin.file is not None and plugin.locator.module)
    found = [OPTIMIZERS]
    for file in files:
        if file is not None:
            found += [*own_modules(file), *_imported_by_hooks(file)]
    return list(dict.fromkeys(found))


def _imported_by_hooks(file: Path) -> Iterator[str]:
    for function in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(function, ast.FunctionDef) and any(map(_marks_a_hook, function.decorator_list)):
            for node in ast.walk(function):
                if isinstance(node, ast.Import):
                    yield from (alias.name for alias in node.names)
                elif isinstance(node, ast.ImportFrom) and not node.level:
                    yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _marks_a_hook(decorator: ast.expr) -> bool:
    marker = decorator.func if isinstance(decorator, ast.Call) else decorator
    return isinstance(marker, ast.Name) and marker.id == _MARKER
