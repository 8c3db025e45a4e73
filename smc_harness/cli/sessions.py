"""Session plugins: the built-in reports, the installed ones, and what -p says about them."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Sequence

import pluggy

from smc_harness.discovery.catalogue import Problem, discover
from smc_harness.discovery.loading import Plugin, load
from smc_harness.errors import PluginError, UsageError, nearest, one_line

BUILT_IN = {"terminal": "smc_harness.report.terminal", "json": "smc_harness.report.json_file"}
"""Our own reports are session plugins like any other; -p no:NAME removes one."""


def load_session_plugins(manager: pluggy.PluginManager, arguments: Sequence[str]) -> tuple[list[Plugin], list[Problem]]:
    """Register the session plugins. Returns those that workers must load as well, and the ones that are broken."""
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    early.add_argument("-p", dest="plugins", action="append", default=[])
    wanted = early.parse_known_args(list(arguments))[0].plugins
    blocked = {name.removeprefix("no:") for name in wanted if name.startswith("no:")}
    named = {name for name in wanted if not name.startswith("no:")}
    catalogue = discover()
    installed = catalogue.installed["session"]
    if unknown := sorted((named | blocked) - set(installed) - set(BUILT_IN)):
        raise UsageError(f"-p {unknown[0]}: no such session plugin{nearest(unknown[0], [*installed, *BUILT_IN])}")
    for name, module in BUILT_IN.items():
        if name not in blocked:
            manager.register(importlib.import_module(module), name)
    listeners, problems = [], []
    for name, locator in installed.items():
        if name in blocked:
            continue
        try:
            plugin = load(locator)
        except PluginError as error:
            problems.append(Problem(locator.source, one_line(error).removeprefix(f"{locator.source}: ")))
            continue
        if plugin.default or name in named:
            manager.register(plugin.hooks, name)
            listeners.append(plugin)
    return listeners, problems
