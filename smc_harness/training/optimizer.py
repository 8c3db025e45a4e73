"""Optimiser state under a mask, and its form on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


@torch.no_grad()
def mask_state(optimizer: Optimizer, masks: Sequence[tuple[nn.Parameter, Tensor]]) -> None:
    """Zero the optimiser state (moments, momenta) of dead weights.

    masks: (parameter, float mask of its shape). A weight that was dead has zero state, so a newly grown one starts
    afresh.
    """
    for parameter, mask in masks:
        for value in optimizer.state.get(parameter, {}).values():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                value.mul_(mask)


def pack(optimizer: Optimizer, names: Mapping[Tensor, str]) -> dict[str, Tensor]:
    """{"parameter name/state name": tensor}, for a training that stops half-way."""
    packed = {}
    for parameter, state in optimizer.state.items():
        for key, value in state.items():
            tensor = value if isinstance(value, Tensor) else torch.tensor(value)
            packed[f"{names[parameter]}/{key}"] = tensor.detach().clone()
    return packed


def unpack(optimizer: Optimizer, packed: Mapping[str, Tensor], names: Mapping[Tensor, str]) -> None:
    """Give the optimiser the state that `pack` took from its like."""
    parameters = {name: parameter for parameter, name in names.items()}
    on_device = {
        parameter: group.get("fused") or group.get("capturable")
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    for key, tensor in packed.items():
        name, _, entry = key.rpartition("/")
        parameter = parameters[name]
        # as `Optimizer.load_state_dict` does: only kernels that count the steps themselves have the count beside them
        stays = entry == "step" and not on_device[parameter]
        optimizer.state[parameter][entry] = tensor.to("cpu" if stays else parameter.device, copy=True)
