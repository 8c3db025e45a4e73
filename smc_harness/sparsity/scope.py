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
    linear = linear_layers(model, names)
    return [name for name in names if name not in linear]


def linear_layers(model: nn.Module, names: Sequence[str]) -> dict[str, nn.Module]:
    """{name: the linear layer whose weight it is}, in the order of the names, without those of other layers."""
    layers = {
        f"{path}.weight" if path else "weight": module
        for path, module in model.named_modules()
        if isinstance(module, nn.Linear) or is_turned(module)
    }
    return {name: layers[name] for name in names if name in layers}


def is_turned(layer: nn.Module) -> bool:
    """Whether the weight of a linear layer is [inputs, outputs], as that of GPT-2's in transformers is."""
    kind = type(layer)
    return (kind.__module__, kind.__name__) == ("transformers.pytorch_utils", "Conv1D")


def turned(model: nn.Module, names: Sequence[str]) -> frozenset[str]:
    """The names of weights whose rows are not outputs: what is done by rows has to turn them first."""
    return frozenset(name for name, layer in linear_layers(model, names).items() if is_turned(layer))
