"""What plugins may still use, but not for long: all deprecations, and how they are told.

A name, an attribute of plugins or an argument of a hook that goes away, or gets another name, stays for one minor
version. A plugin that uses it works, and a `DeprecatedAPIWarning` names the line of the plugin, the version that ends
it, and what to write instead. Here is the only place where such a thing is entered; its removal is a change of the
major number of `HOOK_API`, as every change is that could break a plugin.
"""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from smc_harness.errors import PluginError

HOOK_API = (1, 0)
"""Version of the contract in `hookspecs.py`: the second number rises when hooks or arguments come, the first when some
go. A plugin says by `api = "1.0"` what it was written for."""


class DeprecatedAPIWarning(FutureWarning):
    """A plugin uses what will go away; shown by default, unlike a DeprecationWarning."""


@dataclass(frozen=True)
class Deprecation:
    """instead: what to write. until: the version of smc-harness without it."""

    instead: str
    until: str


NAMES: dict[str, Deprecation] = {}
"""Of the package, as `from smc_harness import NAME`; `instead` is another public name."""

ATTRIBUTES: dict[tuple[str, str], Deprecation] = {}
"""(kind of plugin, attribute)."""

ARGUMENTS: dict[tuple[str, str], Deprecation] = {}
"""(hook, argument), which the hook's specification still has."""

_told: set[tuple[str, int, str]] = set()


def warn_of_name(name: str) -> str:
    """The name to look up instead; the warning is that of the line that imports it."""
    found = NAMES[name]
    message = f"smc_harness.{name} goes away in {found.until}; smc_harness.{found.instead} would work"
    frame = sys._getframe(2)
    while "importlib" in frame.f_code.co_filename and frame.f_back is not None:
        frame = frame.f_back
    _warn_once(message, frame.f_code.co_filename, frame.f_lineno)
    return found.instead


def warn_of_argument(plugin: str, hook: str, argument: str, function: Callable[..., Any]) -> None:
    """Warn at the line of a hook implementation that takes a deprecated argument."""
    if (found := ARGUMENTS.get((hook, argument))) is not None:
        message = f"{plugin}: argument {argument!r} of {hook}() goes away in {found.until}; {found.instead} would work"
        code = function.__code__
        _warn_once(message, code.co_filename, code.co_firstlineno)


def warn_of_attributes(plugin: Any, kind: str, name: str, file: str) -> None:
    """Warn, in the plugin's file, of deprecated attributes that it has."""
    for (of, attribute), found in ATTRIBUTES.items():
        if of == kind and hasattr(plugin, attribute):
            message = f"{name}: attribute {attribute!r} goes away in {found.until}; {found.instead} would work"
            _warn_once(message, file, 1)


def _warn_once(message: str, file: str, line: int) -> None:
    """A plugin is loaded more than once in a run, and an import asks for a name twice."""
    if (file, line, message) not in _told:
        _told.add((file, line, message))
        warnings.warn_explicit(message, DeprecatedAPIWarning, file, line)


def check_api(wanted: Any, name: str) -> None:
    """Raise PluginError unless a plugin that was written for `wanted` can run here. None: it does not say."""
    if wanted is None:
        return
    ours = ".".join(map(str, HOOK_API))
    if not isinstance(wanted, str) or not (found := re.fullmatch(r"(\d+)\.(\d+)", wanted)):
        raise PluginError(f"{name}: api is {wanted!r}; the version that it was written for, {ours!r}, would work")
    major, minor = int(found[1]), int(found[2])
    if major < HOOK_API[0]:
        raise PluginError(
            f"{name}: it was written for hook API {wanted}, this is {ours}, which lacks some of it; a newer release of "
            "the plugin, or an older one of smc-harness, would work"
        )
    if (major, minor) > HOOK_API:
        raise PluginError(
            f"{name}: it was written for hook API {wanted}, this is {ours}; pip install --upgrade smc-harness would "
            "work"
        )
