"""SynFlow: pruning at the start, in many rounds, by the flow through each weight; no label and no word is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from smc_harness import Prune, PrunerContext, Train, hookimpl
from smc_harness.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor, nn

name = "synflow"
phase = "before"
default = False
description = "pruning of the start weights by synaptic flow, a little in each of many rounds (SynFlow)"
score = "w dR/dw, R the sum of the outputs of abs(w) on ones"
paper = "Tanaka et al. 2020, arXiv 2006.05467"
cost = "100 gradients of one batch, 1 training"


@dataclass(frozen=True)
class Params:
    """rounds: of scoring and pruning. examples: training examples that lend their shapes, such as lengths and trees.

    Tanaka, Kunin, Yamins & Ganguli 2020 use 100 rounds. A recursive network has a matrix that few trees reach, so the
    examples must be many enough to hold one of them: what no example reaches has no flow and is pruned first.
    """

    rounds: int = 100
    examples: int = 32

    def __post_init__(self) -> None:
        if self.rounds < 1 or self.examples < 1:
            raise UsageError(f"rounds={self.rounds}, examples={self.examples} given; numbers from 1 on would work")


params = Params


@hookimpl
def plan(level: float, context: PrunerContext) -> Sequence[Prune | Train]:
    """Density (1 - level)^(k / n) after round k of n (Tanaka et al. 2020, algorithm 1), then the one training."""
    rounds = context.params.rounds if level else 1
    rising = [Prune(1.0 - (1.0 - level) ** (k / rounds)) for k in range(1, rounds)]
    return [*rising, Prune(level), Train()]


@hookimpl
def compute_scores(model: nn.Module, context: PrunerContext) -> Mapping[str, Tensor]:
    """dR/dw * w, with R the flow that an all-ones input sends through the absolute weights (eq. 2 and algorithm 1).

    Float64, not negative. Raises PluginError where a network does what the rules of `_flow` cannot carry.
    """
    from smc_pruners._flow import synaptic_flow

    (batch,) = context.batches("train", context.params.examples, context.params.examples)
    names = [name for name, _ in context.prunable(model)]
    return synaptic_flow(model, names, batch, context.loss)
