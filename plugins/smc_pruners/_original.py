"""What the code of SMC-Bench did where it differs from the harness; for `compat="smc-bench"`, never by default.

Its masks keep the scores strictly above the k-th largest: one weight too few, and none of a score that is repeated at
the threshold. Its training zeroes pruned weights, but neither their gradients nor their optimiser state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal

from smc_harness import Prune, PrunerContext, Rewind, Train, default_plan, hookimpl
from smc_harness.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor, nn

Compat = Literal["none", "smc-bench"]
ORIGINAL_INTERVAL = 1 / 6
"""Fraction of the training between two changes of its masks: 500 of the 3 000 steps on CommonsenseQA."""

Stages = Sequence[Train | Prune | Rewind]


@dataclass(frozen=True)
class Params:
    """compat: `smc-bench` does as the original code did: strict threshold, unmasked gradients and optimiser state."""

    compat: Compat = "none"


def check_compat(params: Any, unused: Sequence[str] = (), **fixed: object) -> None:
    """Raise UsageError where `compat` comes with a parameter that it fixes at another value, or does not use."""
    if params.compat == "none":
        return
    defaults = {field.name: field.default for field in fields(params)}
    for name in unused:
        if getattr(params, name) != defaults[name]:
            raise UsageError(f"{name}={getattr(params, name)} given; compat=smc-bench does not use it")
    for name, value in fixed.items():
        given = getattr(params, name)
        if given not in (defaults[name], value):
            raise UsageError(f"compat=smc-bench has {name}={value}; {name}={given} cannot be had with it")


def unmasked(stages: Stages) -> Stages:
    """The same stages; gradients and optimiser state of pruned weights live on."""
    return [replace(stage, dead="unmasked") if isinstance(stage, Train) else stage for stage in stages]


def strict_threshold(scores: Mapping[str, Tensor], level: float) -> dict[str, Tensor]:
    """Keep what is strictly above the int(N x density)-th largest score of all tensors together."""
    from smc_harness.sparsity.cut import find_cuts

    total = sum(tensor.numel() for tensor in scores.values())
    (cut,) = find_cuts(list(scores.values()), [total - int(total * (1.0 - level)) + 1])
    return {name: tensor.double() > cut.threshold for name, tensor in scores.items()}


@dataclass(frozen=True)
class Original:
    """The two hooks that `compat` changes, for a pruner whose plan follows from its phase.

    Subclasses add `score`, `paper` and `cost` for the reference page. nested: a higher level keeps a part of what a
    lower one keeps.
    """

    name: str
    phase: str
    description: str
    default: bool = True
    params = Params
    nested = True

    @hookimpl
    def plan(self, level: float, context: PrunerContext) -> Stages | None:
        return unmasked(default_plan(self.phase, level)) if context.params.compat == "smc-bench" else None

    @hookimpl
    def apply_mask(
        self, scores: Mapping[str, Tensor], level: float, context: PrunerContext
    ) -> Mapping[str, Tensor] | None:
        return strict_threshold(scores, level) if context.params.compat == "smc-bench" else None


def magnitudes(model: nn.Module, context: PrunerContext) -> dict[str, Tensor]:
    """{name: |w|} over the scope."""
    return {name: parameter.detach().abs() for name, parameter in context.prunable(model)}
