"""Reading JSON that somebody may have changed: every member must be there and be of its kind."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

Kind = type | tuple[type, ...]
NUMBER = (int, float)
NUMBER_OR_NONE = (*NUMBER, type(None))
INTEGER_OR_NONE = (int, type(None))
TEXT_OR_NONE = (str, type(None))
_SHOWN = 40


def member(found: Any, name: str, kind: Kind, place: str = "") -> Any:
    """`found[name]`. place: where `found` is. Raises ValueError that says what is wrong where."""
    where = f"{place}.{name}" if place else name
    if not isinstance(found, Mapping) or name not in found:
        raise ValueError(f"{where} is missing")
    return of_kind(found[name], kind, where)


def members(found: Any, name: str, kind: Kind, place: str = "") -> list[tuple[str, Any]]:
    """The items of the list `found[name]`, each with its place."""
    where = f"{place}.{name}" if place else name
    places = [(f"{where}[{index}]", item) for index, item in enumerate(member(found, name, list, place))]
    return [(where, of_kind(item, kind, where)) for where, item in places]


def of_kind(value: Any, kind: Kind, where: str) -> Any:
    """The value, which must be of a kind; numbers are finite. Raises ValueError."""
    kinds = kind if isinstance(kind, tuple) else (kind,)
    truth = isinstance(value, bool) and bool not in kinds  # to Python, true is a number
    if truth or not isinstance(value, kinds) or (isinstance(value, float) and not math.isfinite(value)):
        text = repr(value)
        raise ValueError(f"{where} is {text if len(text) <= _SHOWN else f'{text[:_SHOWN]}...'}")
    return value
