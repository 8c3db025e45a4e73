"""What a run was measured with, where that is not what its baseline was measured with."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from smc_harness.baseline.entries import Entry
from smc_harness.cells import visible

_KIND = ("metric", "unit", "higher_is_better")
"""What makes a score a score of its kind."""
_ROUNDING = 1e-6
"""Relative difference of dense scores that another processor makes."""


@dataclass(frozen=True)
class Drift:
    """what: a version, an option, a parameter, ... was, now: None where a run did not record it."""

    what: str
    was: Any
    now: Any

    def __str__(self) -> str:
        return visible(f"{self.what} {_shown(self.was)} -> {_shown(self.now)}")


def drift(old: Entry, new: Entry) -> list[Drift]:
    """Of one (task, pruner): versions, options, what is measured of the task, the pruner's parameters."""
    was, now, task = old.subject, new.subject, new.task
    told = (*_KIND, "n", "tolerance")
    old_kind, new_kind = ({f"{n} of {task}": getattr(one, n) for n in told} for one in (was, now))
    dense = _changed(f"dense score of {task} seed ", was.dense, now.dense, common=True)
    return [
        *_changed("", old.versions, new.versions),
        *_changed("", old.options, new.options),
        *_changed(f"{task}.", was.params, now.params),
        *_changed("", old_kind, new_kind),
        *_data(old, new),
        *(found for found in dense if not math.isclose(found.was, found.now, rel_tol=_ROUNDING)),
        *_changed("parameters of ", {new.pruner: old.params_digest}, {new.pruner: new.params_digest}),
    ]


def is_comparable(old: Entry, new: Entry) -> bool:
    """Whether the two scores are of one kind."""
    return all(getattr(old.subject, name) == getattr(new.subject, name) for name in _KIND)


def has_same_examples(old: Entry, new: Entry) -> bool:
    """Whether nothing says that examples with equal ids are others: generated data follow parameters and seed."""
    same_draw = old.options.get("seed") == new.options.get("seed")
    return same_draw and old.subject.params == new.subject.params and not _data(old, new)


def _data(old: Entry, new: Entry) -> list[Drift]:
    was, now = old.subject.data or {}, new.subject.data or {}
    return _changed(f"data of {new.task} seed ", was, now, common=bool(was and now))


def _changed(prefix: str, old: Mapping[Any, Any], new: Mapping[Any, Any], common: bool = False) -> list[Drift]:
    """Of two mappings. common: only of what is in both, as one run may have more seeds than the other."""
    names = sorted(old.keys() & new.keys() if common else old.keys() | new.keys())
    return [Drift(f"{prefix}{n}", old.get(n), new.get(n)) for n in names if old.get(n) != new.get(n)]


def _shown(value: Any) -> str:
    return "none" if value is None else str(value)
