"""Session plugins: the built-in reports, the installed and collected ones, and what -p says about them."""

from __future__ import annotations

import pkgutil
from collections.abc import Sequence

import pluggy

from smc_harness.discovery.catalogue import Catalogue
from smc_harness.discovery.loading import Plugin, load
from smc_harness.errors import PluginError, UsageError, nearest
from smc_harness.report.files import FileReport

BUILT_IN = {
    "github": "smc_harness.report.github",
    "terminal": "smc_harness.report.terminal",
    "json": "smc_harness.report.json_file",
    "html": "smc_harness.report.html_file",
    "junit": "smc_harness.report.junit",
    "markdown": "smc_harness.report.markdown:REPORT",
    "latex": "smc_harness.report.latex:REPORT",
    "csv": "smc_harness.report.tidy:CSV",
    "parquet": "smc_harness.report.tidy:PARQUET",
    "png": "smc_harness.report.figures:PNG",
    "svg": "smc_harness.report.figures:SVG",
}
"""Our own reports are session plugins like any other: -p no:NAME removes one, another of its name replaces it."""


def file_reports() -> list[FileReport]:
    """Those of our own reports that can be made of a saved run as well."""
    found = (pkgutil.resolve_name(place) for place in BUILT_IN.values())
    return [report for report in found if isinstance(report, FileReport)]


def load_session_plugins(manager: pluggy.PluginManager, catalogue: Catalogue, wanted: Sequence[str]) -> list[Plugin]:
    """Register the session plugins; the broken ones join the catalogue's problems.

    wanted: the values of -p. Returns the plugins that workers must load as well. Raises UsageError.
    """
    blocked = {name.removeprefix("no:") for name in wanted if name.startswith("no:")}
    named = {name for name in wanted if not name.startswith("no:")}
    known = catalogue.known("session")
    if unknown := sorted((named | blocked) - set(known) - set(BUILT_IN)):
        raise UsageError(f"-p {unknown[0]}: no such session plugin{nearest(unknown[0], [*known, *BUILT_IN])}")
    for name, place in BUILT_IN.items():
        if name not in blocked and name not in known:
            manager.register(pkgutil.resolve_name(place), name)
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
