"""Masks: checking them, putting them on a model, and finding pruned weights that are not zero."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy
import torch
from torch import Tensor, nn

from smc_harness.errors import LeakError, PluginError
from smc_harness.sparsity.pieces import count, has_nan

_INTEGERS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
_PIECE = 2**17
"""Weights that are looked at together, while they are in a core's cache."""

Prunable = Sequence[tuple[str, nn.Parameter]]


def check_tensors(given: object, prunable: Prunable, what: str, plugin: str) -> dict[str, Tensor]:
    """Check that `given` maps every prunable name, and no other, to a tensor of the parameter's shape.

    what: `scores` or `mask`, for the message. Returns the mapping in scope order. Raises PluginError.
    """
    if not isinstance(given, Mapping):
        raise PluginError(f"{plugin}: {what} is {type(given).__name__}; a dict of tensors by parameter name would work")
    names = {name for name, _ in prunable}
    if missing := [name for name, _ in prunable if name not in given]:
        raise PluginError(f"{plugin}: {what} lacks {missing[0]!r} ({len(missing)} of {len(names)} missing)")
    if extra := [name for name in given if name not in names]:
        raise PluginError(f"{plugin}: {what} has {extra[0]!r}, which is not in context.prunable(model)")
    for name, parameter in prunable:
        tensor = given[name]
        if not isinstance(tensor, Tensor):
            raise PluginError(f"{plugin}: {what}[{name!r}] is {type(tensor).__name__}; a tensor would work")
        if tensor.shape != parameter.shape:
            raise PluginError(
                f"{plugin}: {what}[{name!r}] has shape {tuple(tensor.shape)}; the parameter's shape "
                f"{tuple(parameter.shape)} would work"
            )
    return {name: given[name].detach() for name, _ in prunable}


def check_mask(given: object, prunable: Prunable, plugin: str) -> dict[str, Tensor]:
    """`check_tensors`, and every tensor is bool.

    Returns copies, so that the plugin cannot change them later, each on its parameter's device.
    """
    mask = check_tensors(given, prunable, "mask", plugin)
    for name, tensor in mask.items():
        if tensor.dtype != torch.bool:
            raise PluginError(f"{plugin}: mask[{name!r}] has dtype {tensor.dtype}; torch.bool (True = keep) would work")
    return {name: mask[name].to(parameter.device, copy=True) for name, parameter in prunable}


def check_scores(given: object, prunable: Prunable, plugin: str) -> dict[str, Tensor]:
    """`check_tensors`, and every tensor is floating without NaN.

    Returns them on their parameters' devices, but for mps, which has no float64 to rank them in: on the CPU.
    """
    scores = check_tensors(given, prunable, "scores", plugin)
    for name, tensor in scores.items():
        if not tensor.is_floating_point():
            raise PluginError(f"{plugin}: scores[{name!r}] has dtype {tensor.dtype}; a floating dtype would work")
        if has_nan(tensor):
            raise PluginError(f"{plugin}: scores[{name!r}] hold NaN; every score must be a number or +-inf")
    return {
        name: scores[name].to("cpu" if parameter.device.type == "mps" else parameter.device)
        for name, parameter in prunable
    }


@torch.no_grad()
def put_on(mask: Mapping[str, Tensor], prunable: Prunable) -> None:
    """Zero the pruned weights, whatever they hold."""
    for name, parameter in prunable:
        if parameter.device.type == "cpu":
            # the product of a bit pattern and 0 is that of +0.0, also of NaN; ten times as fast as filling by a mask
            bits = _bits(parameter)
            numpy.multiply(bits, mask[name].numpy(), out=bits)
        else:
            parameter.masked_fill_(~mask[name], 0.0)


@torch.no_grad()
def audit(mask: Mapping[str, Tensor] | None, prunable: Prunable, when: str) -> None:
    """Raise LeakError, naming the tensor, if a pruned weight is not zero."""
    if mask is None:
        return
    for name, parameter in prunable:
        if leaks := _leaks(mask[name], parameter):
            raise LeakError(f"{leaks} pruned weights of {name!r} are not zero {when}")


def _leaks(mask: Tensor, parameter: Tensor) -> int:
    """How many pruned weights are not zero."""
    if parameter.device.type != "cpu":
        return int(torch.count_nonzero(parameter.masked_fill(mask, 0.0)))
    bits, lives = _bits(parameter).reshape(-1), mask.numpy().reshape(-1)
    found = 0
    for start in range(0, len(bits), _PIECE):
        # without its sign, only a zero has no bit set
        filled = numpy.left_shift(bits[start : start + _PIECE], 1) != 0
        found += int(numpy.count_nonzero(filled > lives[start : start + _PIECE]))
    return found


def _bits(parameter: Tensor) -> numpy.ndarray:
    """The weights of a tensor on the CPU as integers; numpy has no bfloat16. What is written there, they are."""
    view: numpy.ndarray = parameter.detach().view(_INTEGERS[parameter.element_size()]).numpy()
    return view


def densities(mask: Mapping[str, Tensor] | None, prunable: Prunable) -> dict[str, float]:
    """{name: share of the tensor's weights that live}; 1.0 for an empty tensor."""
    if mask is None:
        return {name: 1.0 for name, _ in prunable}
    return {name: count(mask[name]) / mask[name].numel() if mask[name].numel() else 1.0 for name, _ in prunable}


def kept(mask: Mapping[str, Tensor]) -> tuple[int, ...]:
    """Number of weights that live in each tensor, in order."""
    return tuple(map(count, mask.values()))


def pruned(mask: Mapping[str, Tensor] | None) -> int:
    """Number of pruned weights."""
    return sum(tensor.numel() - count(tensor) for tensor in mask.values()) if mask else 0
