"""Scope: which tensors are prunable. Chosen by the user among the task's presets, never by the pruner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import nn

from smc_harness.errors import PluginError, UsageError, nearest

DEFAULT_SCOPE = "paper"


def two_dimensional(model: nn.Module) -> list[str]:
    """Names of all parameters with two dimensions; `named_parameters` lists a tied tensor once."""
    return [name for name, parameter in model.named_parameters() if parameter.dim() == 2]


def resolve(presets: Mapping[str, Sequence[str]], scope: str, model: nn.Module, task: str) -> list[str]:
    """The names of a preset, checked against the model.

    Raises UsageError for an unknown preset, PluginError for a name the model lacks, a repeated name, or a tensor that
    is tied to one already listed.
    """
    if scope not in presets:
        raise UsageError(f"--scope {scope!r}: {task} has {', '.join(map(repr, presets))}{nearest(scope, presets)}")
    parameters = dict(model.named_parameters(remove_duplicate=False))
    seen: dict[int, str] = {}
    for name in presets[scope]:
        if name not in parameters:
            raise PluginError(f"{task}: prunable names {name!r}, which the model lacks{nearest(name, parameters)}")
        if (other := seen.setdefault(id(parameters[name]), name)) != name or list(presets[scope]).count(name) > 1:
            raise PluginError(f"{task}: prunable lists {name!r}, the same tensor as {other!r}; list it once")
    return list(presets[scope])


def not_linear(model: nn.Module, names: Sequence[str]) -> list[str]:
    """The names that are not the weight of a linear layer, for pruners that can handle only those."""
    linear = {
        f"{path}.weight" if path else "weight"
        for path, module in model.named_modules()
        if isinstance(module, nn.Linear)
    }
    return [name for name in names if name not in linear]
