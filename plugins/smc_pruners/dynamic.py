"""Dynamic sparse training: a sparse start whose weights are dropped and grown again while it is trained.

RigL (Evci et al. 2020) grows where the gradient is largest, SET (Mocanu et al. 2018) anywhere. Every tensor keeps its
number of weights.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from smc_harness import PrunerContext, hookimpl
from smc_harness.declarations.structure import Block
from smc_harness.errors import UsageError
from smc_pruners._original import ORIGINAL_INTERVAL, Original, Params, check_compat
from smc_pruners.magnitude import before as magnitude
from smc_pruners.random import before as random
from smc_pruners.random import uniform_draws
from smc_pruners.snip import SnipParams, snip

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class UpdateParams:
    """drop: share of a tensor's living weights that an update drops (zeta = 0.3 in the paper). interval: fraction of
    the training between two updates. end: fraction after which there is none; the paper has none after the last epoch.
    """

    drop: float = 0.3
    interval: float = 0.05
    end: float = 1.0

    def __post_init__(self) -> None:
        if not (0.0 <= self.drop <= 1.0 and 0.0 < self.interval <= 1.0 and 0.0 <= self.end <= 1.0):
            given = f"drop={self.drop}, interval={self.interval}, end={self.end} given"
            raise UsageError(f"{given}; shares in [0, 1], with interval above 0, would work")


@dataclass(frozen=True)
class RigLParams(UpdateParams, Params):
    """drop: share of a tensor's living weights that the first update drops; it falls to 0 by a cosine (0.3 in the
    paper). interval: fraction of the training between two updates (0.05 is SMC-Bench's 1 000 of the 19 200 steps on
    MAWPS). end: fraction of the training after which there is none (0.75 in the paper).

    compat: `smc-bench` drops a half at first and 0.005 at the last step, at every sixth of the training (500 of 3 000
    steps on CommonsenseQA); the start mask as that pruner's own `compat`; unmasked gradients and optimiser state.
    """

    end: float = 0.75

    def __post_init__(self) -> None:
        super().__post_init__()
        check_compat(self, drop=0.5, interval=ORIGINAL_INTERVAL, end=1.0)


@dataclass(frozen=True)
class SnipRigLParams(RigLParams, SnipParams):
    """As of RigL, and of SNIP for the start mask."""

    def __post_init__(self) -> None:
        RigLParams.__post_init__(self)
        SnipParams.__post_init__(self)


class Dynamic:
    """What RigL and SET share: every tensor drops its smallest weights and grows as many others."""

    @hookimpl
    def update_mask(
        self, model: nn.Module, mask: Mapping[str, Tensor], context: PrunerContext
    ) -> Mapping[str, Tensor] | None:
        share = self.share(context.step, context.total_steps, context.params)
        if not share:
            return None
        return {
            name: moved(mask[name], parameter.detach(), self.growth(parameter, context), share, context)
            for name, parameter in context.prunable(model)
        }

    def share(self, step: int, total: int, params: Any) -> float:
        """Share of the living weights that are dropped at this step; 0: no update."""
        return float(params.drop) if is_update(step, total, params.interval, params.end) else 0.0

    def growth(self, parameter: nn.Parameter, context: PrunerContext) -> Tensor:
        """Scores by which dead weights are grown: a draw."""
        import torch

        draws = torch.rand(parameter.shape, generator=context.generator, dtype=torch.float64)
        return draws.to(parameter.device)


class First(Protocol):
    """A pruner that makes the first mask."""

    @property
    def cost(self) -> str: ...
    @property
    def score(self) -> str: ...
    def compute_scores(self, model: nn.Module, context: PrunerContext) -> Mapping[str, Tensor]: ...
    def apply_mask(
        self, scores: Mapping[str, Tensor], level: float, context: PrunerContext
    ) -> Mapping[str, Tensor] | None: ...


@dataclass(frozen=True)
class RigL(Dynamic, Original):
    """Grows the dead weights, just dropped ones included, whose gradient is largest (Evci et al. 2020, algorithm 1).

    start: the pruner that makes the first mask.
    """

    start: First = magnitude
    params: Any = RigLParams
    paper = "Evci et al. 2020, arXiv 1911.11134"
    nested = False

    @property
    def cost(self) -> str:
        return self.start.cost

    @property
    def score(self) -> str:
        return f"{self.start.score}; updates drop abs(w), grow abs(dL/dw)"

    @hookimpl
    def compute_scores(self, model: nn.Module, context: PrunerContext) -> Mapping[str, Tensor]:
        return self.start.compute_scores(model, context)

    @hookimpl
    def apply_mask(
        self, scores: Mapping[str, Tensor], level: float, context: PrunerContext
    ) -> Mapping[str, Tensor] | None:
        return self.start.apply_mask(scores, level, context)

    def share(self, step: int, total: int, params: Any) -> float:
        """Drop / 2 (1 + cos(pi t / end)) (section 3, update schedule)."""
        if params.compat == "smc-bench":
            decay = 0.5 * (1.0 + math.cos(math.pi * step / total))
            return 0.005 + (0.5 - 0.005) * decay if is_update(step, total, ORIGINAL_INTERVAL, 1.0) else 0.0
        if not is_update(step, total, params.interval, params.end):
            return 0.0
        return float(params.drop / 2 * (1.0 + math.cos(math.pi * step / (params.end * total))))

    def growth(self, parameter: nn.Parameter, context: PrunerContext) -> Tensor:
        import torch

        return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad.abs()


class SparseEvolution(Dynamic):
    """Grows dead weights anywhere (Mocanu et al. 2018, algorithm 1)."""

    name, phase, default = "set", "before", False
    description = "sparse evolutionary training: a random mask, small weights dropped, random ones grown"
    score = "uniform draw; updates drop abs(w), grow anywhere"
    paper = "Mocanu et al. 2018, arXiv 1707.04780"
    cost = "1 training"
    allocation = "erk"
    params = UpdateParams

    @hookimpl
    def compute_scores(self, model: nn.Module, context: PrunerContext) -> Mapping[str, Tensor]:
        return uniform_draws(model, context)


def is_update(step: int, total: int, interval: float, end: float) -> bool:
    """Whether `step` is the first one at or after a multiple of the interval, the start left out, before `end`."""
    every = interval * total
    return 0 < step < end * total and math.floor(step / every + 1e-9) > math.floor((step - 1) / every + 1e-9)


def moved(mask: Tensor, weights: Tensor, growth: Tensor, share: float, context: PrunerContext) -> Tensor:
    """Drop the `share` of living weights of least magnitude, then grow as many of the highest `growth`.

    What was just dropped may grow again, and then keeps its value. The number of living weights stays. Under a pattern,
    what grows completes it: within its group where the pattern is N:M, and tiles are dropped and grown whole.
    mask: bool; weights, growth: of the same shape. Ties keep, and grow, the lowest index.
    """
    import torch

    count, size = int(mask.sum()), mask.numel()
    if not count:
        return mask.clone()
    left = count - math.floor(share * count + 0.5)
    by_magnitude = torch.where(mask, weights.abs().double(), -torch.inf)
    kept = best(by_magnitude, left / size, context) if isinstance(context.pattern, Block) else top(by_magnitude, left)
    return best(torch.where(kept, torch.inf, growth.double()), count / size, context)


def top(scores: Tensor, count: int) -> Tensor:
    """The `count` highest, whatever the pattern."""
    from smc_harness.sparsity.cut import find_cuts, living

    (cut,) = find_cuts([scores], [scores.numel() - count])
    return living([scores], cut)[0]


def best(scores: Tensor, density: float, context: PrunerContext) -> Tensor:
    """The highest of one tensor under the pattern of this pruner."""
    return context.select({"": scores}, min(1.0 - density, 1.0 - 1.0 / scores.numel()), regrow=True)[""]


magnitude_rigl = RigL(
    "magnitude-rigl", "before", "RigL from the mask of global magnitude pruning of the start weights", start=magnitude
)
random_rigl = RigL("random-rigl", "before", "RigL from a random mask", start=random)
snip_rigl = RigL(
    "snip-rigl",
    "before",
    "RigL from the mask of SNIP: drops small weights, grows where gradients are large",
    start=snip,
    params=SnipRigLParams,
)
plugins = (magnitude_rigl, random_rigl, snip_rigl, SparseEvolution)
