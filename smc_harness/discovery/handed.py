"""Plugins that a program has in its hand, instead of finding them: a module, a class, or an object.

Workers import what they run, so what is handed over must have a place from which they can.
"""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from smc_harness.discovery.catalogue import Catalogue, add_collected, declared_in, named, shown
from smc_harness.discovery.loading import Locator
from smc_harness.errors import PluginError, UsageError


def hand_over(catalogue: Catalogue, item: Any) -> None:
    """Add a plugin as if its file had been collected. Raises UsageError for one that breaks the rules.

    item: a module with hooks, or with `plugins`; else a class or an object that stands in a module under a name.
    """
    try:
        place = _place_of(item)
        offered = declared_in(item, place) if isinstance(item, ModuleType) else [(item, place)]
        for plugin, where in offered:
            locator = named(plugin, where)
            if catalogue.collected[locator.kind].get(locator.name) != locator:  # the same one may be handed over twice
                add_collected(catalogue, locator)
    except PluginError as error:
        raise UsageError(str(error)) from error


def _place_of(item: Any) -> Locator:
    """The file of a module, and within it the name of a class or an object. Raises PluginError."""
    if isinstance(item, ModuleType):
        return _in_file(getattr(item, "__file__", None), item.__name__, "")
    home = sys.modules.get(item.__module__ if inspect.isclass(item) else type(item).__module__)
    if inspect.isclass(item):
        return _in_file(getattr(home, "__file__", None), repr(item), item.__qualname__)
    # an object may have been made in another module than its class
    for module in [home, *sys.modules.values()]:
        if isinstance(module, ModuleType):
            for name, value in list(vars(module).items()):
                if value is item:
                    return _in_file(getattr(module, "__file__", None), repr(item), name)
    raise PluginError(f"{item!r} given; a module, a class, or an object that a module has under a name, would work")


def _in_file(file: str | None, what: str, attribute: str) -> Locator:
    if file is None or "<locals>" in attribute:
        raise PluginError(f"{what} given, which workers cannot import; one at the top of a Python file would work")
    path = Path(file).resolve()
    return Locator("session", "", shown(path), path=str(path), attribute=attribute)
