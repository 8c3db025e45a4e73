"""Pruning methods of torch.nn.utils.prune, built in or somebody's own: they choose, the harness masks and trains.

A method sees copies of the weights in modules of their own, since the library renames what it prunes and the task's
model must stay as it is. What is pruned already is told in the library's own way, by a mask to start from, so that its
container for repeated pruning shows the method what still lives. The amount is always a whole number: a share would be
one of what still lives, and round halves to even.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smc_harness import PrunerContext, default_plan, hookimpl
from smc_harness.declarations.plans import Stage
from smc_harness.errors import PluginError, UsageError, nearest
from smc_pruners.adapters._library import Phase, class_at, is_place, made, read_arguments, source_of

if TYPE_CHECKING:
    from torch import Tensor, nn

name = "torch-prune"
description = "a pruning method of torch.nn.utils.prune, built in or your own"
score = "the method's own"
paper = "-"
cost = "that of its phase"
default = False

BUILT_IN = ("l1_unstructured", "random_unstructured", "ln_structured", "random_structured")
"""The functions of torch.nn.utils.prune that take an amount."""


@dataclass(frozen=True)
class Params:
    """method: a function of torch.nn.utils.prune (`l1_unstructured`, `random_unstructured`, `ln_structured`,
    `random_structured`), or a `BasePruningMethod` by its place, `package.module:Class` or `file.py:Class`, whose
    constructor takes `amount`. arguments: what it takes beside the amount, such as `n=2 dim=0`. phase: when it prunes,
    by the default plan of that phase.

    With `allocation=global` the method sees the whole scope at once, as in `global_unstructured`; with `uniform` or
    `erk` it sees every tensor by itself and is told its own amount. Methods whose PRUNING_TYPE is not `unstructured`
    want one of these two. One that is `structured` prunes whole channels, as many as fit: what is realised is below the
    level by less than a channel in each tensor. Any other must prune exactly what it is told, or the cell is an error.
    """

    method: str = "l1_unstructured"
    arguments: str = ""
    phase: Phase = "after"

    def __post_init__(self) -> None:
        given = read_arguments(self.arguments)
        if self.method not in BUILT_IN and not is_place(self.method):
            raise UsageError(
                f"method={self.method} given; {', '.join(BUILT_IN)} or package.module:Class would work"
                f"{nearest(self.method, BUILT_IN)}"
            )
        if self.method == "ln_structured" and "n" not in given:
            raise UsageError(f"arguments={self.arguments} given; ln_structured wants a norm: arguments=n=2 would work")


params = Params


def phase(params: Params) -> str:
    return params.phase


def files(params: Params) -> Sequence[Path]:
    """The source of somebody's own method, so that an edited one is measured anew."""
    return source_of(params.method) if is_place(params.method) else ()


@hookimpl
def plan(level: float, context: PrunerContext) -> Sequence[Stage]:
    """Raises UsageError for what cannot go together, before anything is trained for it."""
    method, structure = context.params.method, context.structure
    if structure.pattern is not None:
        raise UsageError(f"pattern={structure.pattern} given; {method} chooses the weights: pattern=none would work")
    if structure.allocation == "rows":
        raise UsageError(f"allocation=rows given; {method} ranks whole tensors: global, uniform or erk would work")
    if structure.allocation == "global" and method in BUILT_IN and method.endswith("_structured"):
        raise _within_a_tensor(method)
    return default_plan(context.params.phase, level)


@hookimpl
def apply_mask(model: nn.Module, level: float, context: PrunerContext) -> Mapping[str, Tensor]:
    """Returns what the method keeps. Raises PluginError where it prunes another number of weights than it is told."""
    method, arguments = context.params.method, read_arguments(context.params.arguments)
    kind = _class(method)
    probe = made(kind, {"amount": 1, **arguments}, f"arguments={context.params.arguments} given")
    prunable = context.prunable(model)
    # of equal scores, this tells nothing but how many weights of each tensor the allocation prunes
    counted = context.select({key: weight.new_zeros(weight.shape) for key, weight in prunable}, level)
    wanted = {key: int((~kept).sum()) for key, kept in counted.items()}
    copies = {key: _copy(key, weight, context.mask) for key, weight in prunable}
    together = context.structure.allocation == "global"
    if not together:
        for key, copy in copies.items():
            _prune(copy, kind, probe, wanted[key], arguments)
    elif probe.PRUNING_TYPE == "unstructured":
        _prune_together(list(copies.values()), kind, sum(wanted.values()), arguments)
    else:
        raise _within_a_tensor(method)
    mask = {key: _alive(copy) for key, copy in copies.items()}
    if context.mask is not None:
        mask = {key: kept & context.mask[key] for key, kept in mask.items()}
    if probe.PRUNING_TYPE != "structured":
        _check(mask, wanted, together, method)
    return mask


def _within_a_tensor(method: str) -> UsageError:
    return UsageError(f"allocation=global given; {method} prunes within a tensor: uniform or erk would work")


def _class(method: str) -> Any:
    """Raises PluginError for a class that is no method, or cannot be told an amount."""
    from torch.nn.utils import prune

    built_in = "".join(word.capitalize() for word in method.split("_"))
    kind = getattr(prune, built_in) if method in BUILT_IN else class_at(method)
    if not issubclass(kind, prune.BasePruningMethod):
        raise PluginError(f"{method}: not a BasePruningMethod of torch.nn.utils.prune; a subclass of it would work")
    if "amount" not in inspect.signature(kind).parameters:
        raise PluginError(f"{method}: it takes no `amount`, so no level can be asked of it; one that does would work")
    return kind


def _copy(key: str, weight: Tensor, mask: Mapping[str, Tensor] | None) -> nn.Module:
    """A module whose one weight is a copy, under the library's mask of what still lives."""
    import torch
    from torch.nn.utils import prune

    module = torch.nn.Module()
    module.weight = torch.nn.Parameter(weight.detach().clone(memory_format=torch.contiguous_format))
    if mask is not None:
        prune.custom_from_mask(module, "weight", mask[key].to(weight))  # type: ignore[no-untyped-call]
    return module


def _alive(copy: nn.Module) -> Tensor:
    """The library's mask; all of the weight where there is none yet."""
    import torch

    found = getattr(copy, "weight_mask", None)
    return torch.ones_like(copy.weight, dtype=torch.bool) if found is None else found != 0  # type: ignore[arg-type]


def _dead(copy: nn.Module) -> int:
    return int((~_alive(copy)).sum())


def _prune_together(copies: Sequence[nn.Module], kind: Any, pruned: int, arguments: Mapping[str, Any]) -> None:
    """pruned: of all weights, the dead ones included."""
    from torch.nn.utils import prune

    amount = pruned - sum(_dead(copy) for copy in copies)
    if amount > 0:
        targets = [(copy, "weight") for copy in copies]
        prune.global_unstructured(targets, kind, amount=amount, **arguments)


def _prune(copy: nn.Module, kind: Any, probe: Any, pruned: int, arguments: Mapping[str, Any]) -> None:
    """Prune one tensor. pruned: of all its weights, the dead ones included."""
    weight: Any = copy.weight
    amount = more = pruned - _dead(copy)
    if more <= 0:
        return
    if probe.PRUNING_TYPE == "structured":
        amount = more // (weight.numel() // weight.shape[probe.dim])
    elif probe.PRUNING_TYPE == "global":
        amount = pruned  # such a method is shown every entry, the dead ones included
    if amount > 0:
        kind.apply(copy, "weight", amount=amount, **arguments)


def _check(mask: Mapping[str, Tensor], wanted: Mapping[str, int], together: bool, method: str) -> None:
    """Raise PluginError unless as many weights are pruned as were to be."""
    found = {key: int((~kept).sum()) for key, kept in mask.items()}
    if together:
        found, wanted = {"the scope": sum(found.values())}, {"the scope": sum(wanted.values())}
    for key, count in found.items():
        if count != wanted[key]:
            raise PluginError(f"{method}: it pruned {count} weights of {key}; {wanted[key]}, as told, would work")
