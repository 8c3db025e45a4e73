"""Calling `compute_scores` with the manners that the contract promises."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from smc_harness.conversation.conversation import Conversation
from smc_harness.conversation.relay import implements
from smc_harness.errors import PluginError
from smc_harness.sparsity import mask as masks

_HOOK_TABLES = (
    "_forward_hooks",
    "_forward_pre_hooks",
    "_backward_hooks",
    "_backward_pre_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_pre_hooks_with_kwargs",
    "_forward_hooks_always_called",
)


_INTEGERS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def compute_scores(conversation: Conversation, model: nn.Module, *purpose: object) -> dict[str, Tensor] | None:
    """The pruner's scores, checked; None if it does not implement the hook. Raises PluginError.

    purpose: what sets the pruner's random draws of this scoring apart from those of another.
    """
    pruner = conversation.pruner
    if not implements(conversation.pruner_plugin, "compute_scores"):
        return None
    prunable = conversation.prunable(model)
    with restored(model), conversation.seeded(pruner, "scores", *purpose), torch.enable_grad():
        model.eval()
        model.zero_grad(set_to_none=True)
        for _, parameter in prunable:
            parameter.requires_grad_(True)  # a frozen tensor is scored like any other
        before = _fingerprints(model)
        given = conversation.hook.compute_scores(model=model, context=pruner)
        if changed := [name for name, print_ in _fingerprints(model).items() if before.get(name) != print_]:
            raise PluginError(f"{pruner.name}: compute_scores changed {changed[0]!r}; leave the model as it was found")
    if given is None:
        raise PluginError(f"{pruner.name}: compute_scores returned None; a dict of tensors by name would work")
    scores = masks.check_scores(given, prunable, pruner.name)
    # a plugin may hand out views of the weights themselves, which the pruning then changes
    return {name: tensor.clone() for name, tensor in scores.items()}


def _fingerprints(model: nn.Module) -> dict[str, int]:
    """{name: sum of the tensor's bits} of all parameters and buffers: one read, no copy."""
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    return {name: _sum_of_bits(tensor.detach()) for name, tensor in tensors.items() if not tensor.is_complex()}


def _sum_of_bits(tensor: Tensor) -> int:
    """Words of 64 bits, where they fit, are added up thirty times as fast as shorter ones."""
    size = tensor.element_size()
    if tensor.is_contiguous() and not (tensor.numel() * size % 8 or tensor.storage_offset() * size % 8):
        return int(tensor.view(-1).view(torch.int64).sum())
    return int(tensor.contiguous().view(_INTEGERS[size]).sum(dtype=torch.int64))


@contextmanager
def restored(model: nn.Module) -> Iterator[None]:
    """Restore the mode of every module, the gradients, `requires_grad` and the registered hooks."""
    modules = list(model.modules())
    modes = [module.training for module in modules]
    tables: list[dict[str, Any]] = [
        {name: type(table)(table) for name in _HOOK_TABLES if (table := getattr(module, name, None)) is not None}
        for module in modules
    ]
    gradients = [(parameter, parameter.grad, parameter.requires_grad) for parameter in model.parameters()]
    try:
        yield
    finally:
        for module, mode, table in zip(modules, modes, tables, strict=True):
            module.training = mode
            for name, hooks in table.items():
                present = getattr(module, name)
                present.clear()
                present.update(hooks)
        for parameter, gradient, wanted in gradients:
            parameter.grad = gradient
            parameter.requires_grad_(wanted)
