"""What a measurement was for each example, kept with it. The names of the examples, which take most of the room, are
written once, with the dense model's; all that are compared with it point there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from smc_harness.store.artifacts import Artifacts

if TYPE_CHECKING:
    from smc_harness.declarations.outcomes import Outcomes

Names = Mapping[str, Sequence[str] | None]
"""`ids` and `groups` of the examples; None for what the task does not name."""
_NAMES, _ELSEWHERE = ("ids", "groups"), "names"


def hand_over(artifacts: Artifacts, key: str, outcomes: Outcomes, dense: str | None, note: Mapping[str, Any]) -> None:
    """Have outcomes kept with the measurement to come. dense: key of the dense model's, None where there are none.
    note: what is kept beside them.
    """
    names: dict[str, Any] = {
        "ids": list(outcomes.ids) if outcomes.ids is not None else None,
        "groups": list(outcomes.groups) if outcomes.groups is not None else None,
    }
    if dense not in (None, key) and names == _read(artifacts, dense):
        names = {_ELSEWHERE: dense}
    artifacts.hand_over(key, {"values": outcomes.values}, {**names, **note})


def names(artifacts: Artifacts, note: Mapping[str, Any]) -> Names | None:
    """Of the outcomes beside which this note is kept; None where they stand elsewhere and are gone."""
    return _read(artifacts, note[_ELSEWHERE]) if _ELSEWHERE in note else {name: note.get(name) for name in _NAMES}


def _read(artifacts: Artifacts, key: str | None) -> Names | None:
    found = artifacts.read(key) if key else None
    return None if found is None else {name: found[1].get(name) for name in _NAMES}
