"""Whether a pruner beats its controls: random pruning, and random pruning with its own ratio in every tensor."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from smc_harness.cells import CONTROLS
from smc_harness.verdict.first_fail import FirstFail


@dataclass(frozen=True)
class Comparison:
    """Of one trajectory with its controls. None: one of the two has no first-fail yet.

    beats_random, beats_own_ratios: it first fails at a higher level than the control. The same level, which two methods
    that never fail have too, does not beat it.
    """

    task: str
    pruner: str
    seed: int
    beats_random: bool | None
    beats_own_ratios: bool | None

    def to_json(self) -> dict[str, Any]:
        """The object of the `controls` list of `--json`."""
        return asdict(self)


def compare(found: Iterable[FirstFail]) -> list[Comparison]:
    """One comparison for every trajectory that has a control, in order."""
    by_name = {(item.task, item.pruner, item.seed): item for item in found}
    compared = []
    for (task, pruner, seed), item in by_name.items():
        controls = [by_name.get((task, f"{pruner}~{control}", seed)) for control in CONTROLS]
        if any(controls):
            compared.append(Comparison(task, pruner, seed, *(_beats(item, control) for control in controls)))
    return compared


def _beats(method: FirstFail, control: FirstFail | None) -> bool | None:
    if control is None or not (_settled(method) and _settled(control)):
        return None
    if control.first_fail is None:
        return False
    return method.first_fail is None or method.first_fail > control.first_fail


def _settled(item: FirstFail) -> bool:
    return item.first_fail is not None or (item.highest is not None and item.unsettled is None)
