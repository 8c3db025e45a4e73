"""Session plugins: the built-in reports, the installed and collected ones, and what -p says about them."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

import pluggy

from smc_harness.discovery.catalogue import Catalogue
from smc_harness.discovery.loading import Plugin, load
from smc_harness.errors import PluginError, UsageError, nearest

BUILT_IN = {
    "terminal": "smc_harness.report.terminal",
    "json": "smc_harness.report.json_file",
    "html": "smc_harness.report.html_file",
}
"""Our own reports are session plugins like any other: -p no:NAME removes one, another of its name replaces it."""


def load_session_plugins(manager: pluggy.PluginManager, catalogue: Catalogue, wanted: Sequence[str]) -> list[Plugin]:
    """Register the session plugins; the broken ones join the catalogue's problems.

    wanted: the values of -p. Returns the plugins that workers must load as well. Raises UsageError.
    """
    blocked = {name.removeprefix("no:") for name in wanted if name.startswith("no:")}
    named = {name for name in wanted if not name.startswith("no:")}
    known = catalogue.known("session")
    if unknown := sorted((named | blocked) - set(known) - set(BUILT_IN)):
        raise UsageError(f"-p {unknown[0]}: no such session plugin{nearest(unknown[0], [*known, *BUILT_IN])}")
    for name, module in BUILT_IN.items():
        if name not in blocked and name not in known:
            manager.register(importlib.import_module(module), name)
    listeners = []
    for name, locator in known.items():
        if name in blocked:
            continue
        try:
            plugin = load(locator)
        except PluginError as error:
            catalogue.add_problem(locator.source, error)
            continue
        if plugin.default or name in named:
            manager.register(plugin.hooks, name)
            listeners.append(plugin)
    return listeners
