"""Our docstrings, read: prose, then what is described as `name: text`, several to a paragraph."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

_MADE_BY_THE_HARNESS = {"Context", "TaskContext", "PrunerContext", "Session", "Config", "Harness", "Run", "Curve"}


def described(text: str, names: Iterable[str]) -> tuple[list[str], dict[str, str]]:
    """The paragraphs of prose, and by name what the others say: `steps: optimiser steps. batch_size: examples`.

    names: what may be described; `low, high: ends of the interval` describes both.
    """
    choice = "|".join(sorted(map(re.escape, names), key=len, reverse=True))
    start = re.compile(rf"(?:(?<=^)|(?<=[.:;)] ))((?:{choice})(?:, (?:{choice}))*): ")
    prose: list[str] = []
    found: dict[str, str] = {}
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        first, *rest = start.split(" ".join(paragraph.split())) if choice else [paragraph]
        if first.strip():
            prose.append(first.strip())
        for label, words in zip(rest[::2], rest[1::2], strict=True):
            found |= dict.fromkeys(label.split(", "), words.strip().rstrip(";"))
    return prose, found


def listed(text: str, names: Iterable[str]) -> list[str]:
    """The docstring as reStructuredText: prose, then a list of what is described."""
    prose, found = described(text, names)
    lines = [line for paragraph in prose for line in (paragraph, "")]
    return [*lines, *(f"- `{name}`: {words}" for name, words in found.items()), ""]


def names_of(item: Any) -> list[str]:
    """What a docstring may describe: the arguments of a function, the fields of a class."""
    if inspect.isclass(item) and dataclasses.is_dataclass(item):
        own = [name for name, value in vars(item).items() if isinstance(value, property)]
        return [*(field.name for field in dataclasses.fields(item)), *own]
    try:
        return list(inspect.signature(item).parameters)
    except (TypeError, ValueError):
        return []


def setup(app: Sphinx) -> dict[str, bool]:
    """Every docstring of the API reference is read so."""

    def read(app: Sphinx, what: str, name: str, item: Any, options: Any, lines: list[str]) -> None:
        if what in ("class", "function", "method", "exception"):
            lines[:] = listed("\n".join(lines), names_of(item))

    def signature(app: Sphinx, what: str, name: str, item: Any, options: Any, given: str, returns: str) -> Any:
        return ("", "") if what == "class" and item.__name__ in _MADE_BY_THE_HARNESS else None

    app.connect("autodoc-process-docstring", read)
    app.connect("autodoc-process-signature", signature)
    return {"parallel_read_safe": True}
