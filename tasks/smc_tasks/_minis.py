"""What the mini tasks share: their parameters, their training recipe and their scope presets.

The settings were measured, not chosen by taste. Dropout is off and weights start at a standard deviation near
1/sqrt(hidden size), since with the usual 0.02 a model this narrow learns nothing in the few hundred steps it has.
Retraining restarts at a quarter of the learning rate: higher, and a model that nothing was pruned from gets worse.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from smc_harness.errors import UsageError

if TYPE_CHECKING:
    import torch

    from smc_harness import Recipe, TaskContext


@dataclass(frozen=True)
class MiniParams:
    """Parameters of every mini task on a transformer.

    data_seed: decides the data; the run's seeds decide weights and order, so that all seeds see the same data.
    steps, batch_size, learning_rate: of a training from start weights; the learning rate is the peak.
    retrain_fraction: steps of a retraining, as a fraction of `steps`.
    retrain_learning_rate: peak learning rate of a retraining, as a fraction of `learning_rate`.
    hidden_size, layers, heads, feed_forward: the transformer; `layers` counts encoder and decoder each.
    """

    data_seed: int = 0
    steps: int = 900
    batch_size: int = 32
    learning_rate: float = 4e-3
    retrain_fraction: float = 0.2
    retrain_learning_rate: float = 0.25
    hidden_size: int = 48
    layers: int = 2
    heads: int = 4
    feed_forward: int = 96

    def __post_init__(self) -> None:
        """Refuse sizes that no model, no data or no training can have."""
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name != "data_seed" and not value > 0:
                raise UsageError(f"{field.name}={value}: expected a number above 0")
        if self.hidden_size % self.heads:
            raise UsageError(f"hidden_size={self.hidden_size}: expected a multiple of heads={self.heads}")


INITIAL_STD = 0.1
"""Standard deviation of the start weights of every mini transformer."""


def mini_recipe(context: TaskContext) -> Recipe:
    """AdamW with a short warm-up and a linear decay to zero; shorter and gentler when retraining.

    context.params: anything with the training parameters of `MiniParams`.
    """
    from smc_harness import LinearWarmup, Recipe

    params = context.params
    steps, learning_rate = params.steps, params.learning_rate
    if context.retraining:
        steps = max(1, round(steps * params.retrain_fraction))
        learning_rate *= params.retrain_learning_rate

    def optimizer(groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        import torch

        return torch.optim.AdamW(groups, lr=learning_rate, betas=(0.9, 0.98), weight_decay=0.01, fused=True)

    return Recipe(steps=steps, batch_size=params.batch_size, optimizer=optimizer, schedule=LinearWarmup(0.05), clip=1.0)


def scope_presets(
    model: torch.nn.Module, backbone: str, embeddings_and_head: str, unused: str | None = None
) -> dict[str, list[str]]:
    """The three presets, from patterns searched in the names of the two-dimensional parameters.

    backbone: attention and feed-forward. embeddings_and_head: the ends of the network. unused: tensors that the
    forward pass never reads. `named_parameters` lists a tied tensor once, by the first of its names.
    """
    matrices = [name for name, parameter in model.named_parameters() if parameter.dim() == 2]
    if unused is not None:
        matrices = [name for name in matrices if not re.search(unused, name)]
    return {
        "paper": matrices,
        "backbone": [name for name in matrices if re.search(backbone, name)],
        "no-embeddings-no-head": [name for name in matrices if not re.search(embeddings_and_head, name)],
    }


def require_finite(numbers: torch.Tensor, what: str = "logits") -> torch.Tensor:
    """The numbers, or an error: the argmax of NaN is a class like any other and would pass for a bad prediction."""
    if not bool(numbers.isfinite().all()):
        raise FloatingPointError(f"the model's {what} are not finite")
    return numbers
