"""Plugin parameters: a frozen dataclass whose fields can be set from the command line."""

from __future__ import annotations

import ast
import types
import typing
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from smc_harness.errors import HarnessError, PluginError, UsageError, nearest


def build(declared: Any, settings: Mapping[str, str], plugin: str) -> Any:
    """An instance of the plugin's `params` class with `settings` (field name -> text) in place of its defaults.

    declared: a dataclass type, an instance of one, or None for a plugin without parameters.
    Raises UsageError for an unknown field or a value of the wrong type.
    """
    if declared is None:
        if settings:
            raise UsageError(f"--set {plugin}.{next(iter(settings))}: {plugin} has no parameters")
        return None
    if not is_dataclass(declared):
        raise PluginError(f"{plugin}: params is {declared!r}; a frozen dataclass would work")
    kind = declared if isinstance(declared, type) else type(declared)
    known = {field.name for field in fields(kind)}
    values = {} if isinstance(declared, type) else {name: getattr(declared, name) for name in known}
    hints = typing.get_type_hints(kind)
    for name, text in settings.items():
        if name not in known:
            raise UsageError(
                f"--set {plugin}.{name}: {plugin} has no parameter {name!r}{nearest(name, known)} "
                f"(it has {', '.join(sorted(known)) or 'none'})"
            )
        values[name] = _read(text, hints[name], f"--set {plugin}.{name}={text}")
    try:
        return kind(**values)
    except HarnessError:
        raise
    except (TypeError, ValueError) as error:
        raise UsageError(f"{plugin}: {error}") from error


def _read(text: str, hint: Any, given: str) -> Any:
    options = typing.get_args(hint) if typing.get_origin(hint) in (types.UnionType, typing.Union) else (hint,)
    if type(None) in options and text.lower() in ("none", ""):
        return None
    for option in options:
        if typing.get_origin(option) is typing.Literal:
            if text in typing.get_args(option):
                return text
        elif option is bool:
            if text.lower() in ("true", "false", "1", "0"):
                return text.lower() in ("true", "1")
        elif option in (int, float):
            try:
                return option(text)
            except ValueError:
                continue
        elif option is str:
            return text
        elif typing.get_origin(option) is tuple or option is tuple:
            try:
                value = ast.literal_eval(text)
            except (ValueError, SyntaxError):
                continue
            return tuple(value) if isinstance(value, tuple | list) else (value,)
    shown = getattr(hint, "__name__", None) if isinstance(hint, type) else str(hint)
    raise UsageError(f"{given}: a value of type {shown} would work")
