"""One pruner on the toy task, asked as the harness would ask it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from smc_harness.conversation.conversation import Conversation
from smc_harness.conversation.options import RunOptions
from smc_harness.conversation.scoring import compute_scores
from smc_harness.declarations.structure import Structure
from tests.toys import plugin, toy_task


def talk_of(
    hooks: Any,
    params: Any = None,
    *,
    seed: int = 0,
    name: str = "mine",
    task: Any = None,
    structure: Structure | None = None,
) -> tuple[Conversation, nn.Module]:
    """The conversation of the toy task, or another one, with a pruner, and the model at its start weights."""
    declared = getattr(hooks, "params", None)
    params = params if params is not None or declared is None else declared()
    pruner = plugin("pruner", name, hooks, params, structure)
    talk = Conversation(plugin("task", "toy", task or toy_task()), pruner, [], RunOptions(), seed)
    return talk, talk.build_model()


def mask_of(talk: Conversation, model: nn.Module, level: float) -> dict[str, Tensor]:
    """What the pruner keeps of the model at a level, by the hooks that a Prune stage calls."""
    scores = compute_scores(talk, model)
    own = {name: tensor.clone() for name, tensor in scores.items()} if scores is not None else None
    with torch.no_grad(), talk.seeded(talk.pruner, "mask", level):
        return dict(talk.hook.apply_mask(model=model, scores=own, level=level, context=talk.pruner))


def pruned(mask: dict[str, Tensor]) -> int:
    return sum(tensor.numel() - int(tensor.sum()) for tensor in mask.values())
