"""Whether a pruner beats its controls: random pruning, and random pruning with its own ratio in every tensor."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from smc_harness.cells import CONTROLS
from smc_harness.verdict.first_fail import FirstFail


@dataclass(frozen=True)
class Comparison:
    """Of one trajectory with its controls.

    against_random, against_own_ratios: 1 where it first fails at a higher level than the control, -1 at a lower one, 0
    where neither does; None where one of the two has no first-fail yet.
    """

    task: str
    pruner: str
    seed: int
    against_random: int | None
    against_own_ratios: int | None

    def to_json(self) -> dict[str, Any]:
        """The object of the `controls` list of `--json`; the same level does not beat."""
        names = {"task": self.task, "pruner": self.pruner, "seed": self.seed}
        outcomes = {"beats_random": self.against_random, "beats_own_ratios": self.against_own_ratios}
        return names | {key: None if value is None else value > 0 for key, value in outcomes.items()}


def compare(found: Iterable[FirstFail]) -> list[Comparison]:
    """One comparison for every trajectory that has a control, in order."""
    by_name = {(item.task, item.pruner, item.seed): item for item in found}
    compared = []
    for (task, pruner, seed), item in by_name.items():
        controls = [by_name.get((task, f"{pruner}~{control}", seed)) for control in CONTROLS]
        if any(controls):
            compared.append(Comparison(task, pruner, seed, *(_against(item, control) for control in controls)))
    return compared


def _against(method: FirstFail, control: FirstFail | None) -> int | None:
    if control is None or not (method.settled and control.settled):
        return None
    own, others = (math.inf if item.first_fail is None else item.first_fail for item in (method, control))
    return (own > others) - (own < others)
