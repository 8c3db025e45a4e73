"""What pruners have in common that take one block after another, calibrated on what it reads, without retraining."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from smc_harness import Prune, PrunerContext, Train
from smc_harness.declarations.plans import Stage
from smc_harness.declarations.structure import NofM
from smc_harness.errors import PluginError, UsageError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from smc_harness.conversation.walk import BlockOfLayers


@dataclass(frozen=True)
class Params:
    """examples: training examples that it is calibrated on. train: whether the task's recipe trains the model after.

    owl: how far the levels of blocks may lie from the asked one, by how many outliers a block has (Yin et al. 2024, who
    take 0.08); 0: the allocation's levels. outlier: how many times the mean of its block makes a score an outlier.
    """

    examples: int = 128
    train: bool = False
    owl: float = 0.0
    outlier: float = 5.0

    def __post_init__(self) -> None:
        if self.examples < 1:
            raise UsageError(f"examples={self.examples} given; a number of at least 1 would work")
        if not 0.0 <= self.owl <= 0.5:
            raise UsageError(f"owl={self.owl} given; a number from 0 to 0.5 would work")
        if not self.outlier > 0.0:
            raise UsageError(f"outlier={self.outlier} given; a number above 0 would work")


def stages(level: float, context: PrunerContext) -> Sequence[Stage]:
    """Raises UsageError for what cannot be had, before anything is trained for it."""
    if context.params.owl and isinstance(context.pattern, NofM):
        raise UsageError(f"owl={context.params.owl} given; {context.pattern} fixes every level: owl=0 would work")
    return [Train(), Prune(level), Train()] if context.params.train else [Train(), Prune(level)]


def shares(model: nn.Module, level: float, context: PrunerContext) -> dict[str, float]:
    """{name: level of that weight}, which add up to the asked one exactly.

    With `owl` as in section 3.3 of Yin et al. 2024 (arXiv 2310.05175): the share of outliers among the scores of a
    dense block, scaled so that all blocks together span 2 x owl, is what its density has more than the mean; what is
    outside of blocks counts as one. Where that would leave [0, 1], the other blocks make up for it. Raises UsageError
    for the allocation `global`.
    """
    even = context.shares(model, level)
    if not context.params.owl or not level:
        return even
    sizes = {name: weight.numel() for name, weight in context.prunable(model)}
    found: list[tuple[list[str], float]] = []
    for block in context.walk(model, context.params.examples):
        found.append((list(block.layers), _outliers(block, norms(block, context.name), context.params.outlier)))
    lowest, highest = min(ratio for _, ratio in found), max(ratio for _, ratio in found)
    if lowest == highest:
        return even
    scaled = {
        name: (ratio - lowest) / (highest - lowest) * 2 * context.params.owl for names, ratio in found for name in names
    }
    mean = sum(scaled[name] * size for name, size in sizes.items()) / sum(sizes.values())
    return context.shares(model, level, {name: max(0.0, more - mean + 1 - level) for name, more in scaled.items()})


def _outliers(block: BlockOfLayers, norms: Mapping[str, Tensor], times: float) -> float:
    """The share of the scores of a block that are above so many times their mean."""
    import torch

    total = sum(int(layer.weight.numel()) for layer in block.layers.values())
    mean = sum(float(saliency(block, name, norms).sum(dtype=torch.float64)) for name in block.layers) / total
    return sum(int((saliency(block, name, norms) > times * mean).sum()) for name in block.layers) / total


def norms(block: BlockOfLayers, who: str) -> dict[str, Tensor]:
    """{name: 2-norm of each feature that its layer reads, [inputs] in float32}.

    Raises PluginError where no input reached a layer.
    """
    squares: dict[str, Tensor] = {}

    def see(names: tuple[str, ...], inputs: Tensor) -> None:
        sums = inputs.float().square().sum(0)
        for name in names:
            squares[name] = squares[name] + sums if name in squares else sums

    block.observe(see)
    check_reached(block, squares, who)
    return {name: sums.sqrt() for name, sums in squares.items()}


def saliency(block: BlockOfLayers, name: str, norms: Mapping[str, Tensor]) -> Tensor:
    """Magnitude times the 2-norm of the feature read, of the weight's shape, in float32.

    Sun et al. 2024 (arXiv 2306.11695), eq. 1. One layer's at a time, since scores take twice the room of 16 bits.
    """
    scores = block.matrix(name).abs().float()
    return block.turn(name, scores.mul_(norms[name]))


def check_reached(block: BlockOfLayers, seen: Mapping[str, Tensor], who: str) -> None:
    """Raise PluginError where no input reached a layer."""
    if missed := [name for name in block.layers if name not in seen]:
        raise PluginError(f"{who}: no input reached {missed[0]!r}; a scope without it would work")
