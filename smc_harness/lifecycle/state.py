"""The state of a trajectory between two stages, in the form in which it is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from smc_harness.errors import PluginError, limitation

_VARIES = (
    "prepare_model built another model than it did before; for one seed and one set of parameters it must be the same "
    "to the bit" + limitation("without-workers")
)


@dataclass
class State:
    """Everything beside the weights, which live in the model.

    key: content key. mask: {name: bool} or None while dense. progress: fraction of the present training that is done;
    0 and 1 have no optimiser state. turn: trainings that these weights have completed. plugin: the pruner's
    `context.state`. optimizer: packed optimiser state of a training that stopped half-way. history: for every pruning
    so far, how many weights of each prunable tensor it kept, in scope order.
    """

    key: str
    mask: dict[str, Tensor] | None = None
    progress: float = 0.0
    turn: int = 0
    plugin: dict[str, Tensor] = field(default_factory=dict)
    optimizer: dict[str, Tensor] = field(default_factory=dict)
    history: tuple[tuple[int, ...], ...] = ()


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    """Parameters, a tied one once, and all buffers: one that is not saved with a model may change, too."""
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def pack(state: State, model: nn.Module) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and note for the artifact store."""
    parts: dict[str, Mapping[str, Tensor]] = {
        "weights": weights_of(model),
        "mask": state.mask or {},
        "plugin": state.plugin,
        "optimizer": state.optimizer,
    }
    tensors = {f"{part}:{name}": tensor for part, group in parts.items() for name, tensor in group.items()}
    note = {"progress": state.progress, "turn": state.turn, "masked": state.mask is not None, "history": state.history}
    return tensors, note


@torch.no_grad()
def unpack(key: str, tensors: Mapping[str, Tensor], note: Mapping[str, Any], model: nn.Module) -> State:
    """Put the weights of a kept state into the model; returns the rest. Raises PluginError if they do not fit."""
    groups: dict[str, dict[str, Tensor]] = {"weights": {}, "mask": {}, "plugin": {}, "optimizer": {}}
    for name, tensor in tensors.items():
        part, _, rest = name.partition(":")
        groups[part][rest] = tensor
    own = weights_of(model)
    device = next((tensor.device for tensor in own.values()), torch.device("cpu"))
    groups |= {part: {name: tensor.to(device) for name, tensor in groups[part].items()} for part in ("mask", "plugin")}
    if own.keys() != groups["weights"].keys() or any(own[n].shape != t.shape for n, t in groups["weights"].items()):
        raise PluginError(_VARIES)
    for name, tensor in groups["weights"].items():
        own[name].copy_(tensor)
    mask = groups["mask"] if note["masked"] else None
    history = read_history(note) or ()
    return State(key, mask, note["progress"], note["turn"], groups["plugin"], groups["optimizer"], history)


def read_history(note: Mapping[str, Any]) -> tuple[tuple[int, ...], ...] | None:
    """The history that a note holds, if it does."""
    kept = note.get("history")
    return None if kept is None else tuple(tuple(counts) for counts in kept)


def check_same(kept: Mapping[str, Tensor], model: nn.Module) -> None:
    """Raise PluginError unless the model's weights are those of a kept state, to the bit."""
    own = weights_of(model)
    weights = {name.partition(":")[2]: tensor for name, tensor in kept.items() if name.startswith("weights:")}
    if own.keys() != weights.keys() or not all(torch.equal(own[name].cpu(), weights[name]) for name in own):
        raise PluginError(_VARIES)
