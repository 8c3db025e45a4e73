"""Plugin parameters: a frozen dataclass whose fields can be set from the command line."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from smc_harness.errors import HarnessError, PluginError, UsageError, nearest, one_line


def build(declared: Any, settings: Mapping[str, str], plugin: str, common: Iterable[str] = ()) -> Any:
    """An instance of the plugin's `params` class with `settings` (field name -> text) in place of its defaults.

    declared: a dataclass type, an instance of one, or None for a plugin without parameters. common: what can be set of
    every plugin of this kind, and was taken out of `settings` before; for the messages.
    Raises UsageError for an unknown field or a value of the wrong type.
    """
    if declared is None:
        if settings:
            raise _unknown(plugin, next(iter(settings)), common)
        return None
    kind = declared if isinstance(declared, type) else type(declared)
    # a content key is taken from the parameters once: they must not change after that
    if not is_dataclass(kind) or not kind.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        raise PluginError(f"{plugin}: params is {declared!r}; a frozen dataclass would work")
    known = {field.name for field in fields(kind) if field.init}
    values = {} if isinstance(declared, type) else {name: getattr(declared, name) for name in known}
    for name, text in settings.items():
        if name not in known:
            raise _unknown(plugin, name, {*known, *common})
        values[name] = _read(text, _hint(kind, name, plugin), f"{plugin}.{name}={text}")
    try:
        return kind(**values)
    except HarnessError as error:
        raise type(error)(f"{plugin}: {error}") from error
    except Exception as error:
        if settings:
            raise UsageError(f"{plugin}: {one_line(error)}") from error
        raise PluginError(
            f"{plugin}: {kind.__name__}() failed: {one_line(error)}; give every field a default"
        ) from error


def _unknown(plugin: str, name: str, known: Iterable[str]) -> UsageError:
    has = ", ".join(sorted(known))
    return UsageError(
        f"{plugin} has no parameter {name!r}" + (f"{nearest(name, known)} (it has {has})" if has else ", nor any other")
    )


def names(declared: Any) -> set[str]:
    """The fields of the plugin's `params` class; none where it is not a dataclass."""
    return {field.name for field in fields(declared)} if is_dataclass(declared) else set()


def _hint(kind: type, name: str, plugin: str) -> Any:
    try:
        return typing.get_type_hints(kind)[name]
    except NameError as error:
        raise PluginError(f"{plugin}: the type of parameter {name!r} cannot be read: {error}") from error


def _read(text: str, hint: Any, given: str) -> Any:
    """The value of type `hint` that `text` writes. Raises UsageError; `given` opens its message."""
    options = typing.get_args(hint) if _origin(hint) in (types.UnionType, typing.Union) else (hint,)
    for option in sorted(options, key=lambda option: option is not type(None)):
        try:
            return _READERS[_origin(option)](text, option)
        except (ValueError, KeyError, UsageError):
            continue
    shown = hint.__name__ if isinstance(hint, type) and not typing.get_args(hint) else str(hint)
    raise UsageError(f"{given}: a value of type {shown.removeprefix('typing.')} would work")


def _origin(hint: Any) -> Any:
    return typing.get_origin(hint) or hint


def _read_tuple(text: str, hint: Any) -> tuple[Any, ...]:
    """`0.9,0.99`, in brackets or not."""
    words = [word.strip(" '\"") for word in text.strip("()[] ").split(",")]
    words = [word for word in words if word]
    kinds = typing.get_args(hint) or (str, ...)
    if kinds[-1] is ...:
        kinds = kinds[:1] * len(words)
    return tuple(_read(word, kind, text) for word, kind in zip(words, kinds, strict=True))


_READERS: dict[Any, Callable[[str, Any], Any]] = {
    int: lambda text, _: int(text),
    float: lambda text, _: float(text),
    str: lambda text, _: text,
    bool: lambda text, _: {"true": True, "1": True, "false": False, "0": False}[text.lower()],
    type(None): lambda text, _: {"none": None, "": None}[text.lower()],
    Path: lambda text, _: Path(text),
    tuple: _read_tuple,
    typing.Literal: lambda text, hint: {str(value): value for value in typing.get_args(hint)}[text],
}
