"""Torch-Pruning's importances of channels, on the groups of layers that it finds, as masks of weights.

The library removes a channel from every layer that has it: rows of the layers that compute it, columns of those that
read it. Here the same weights become zero. A weight belongs to the channel that its row computes and to the one
that its column reads, and goes as soon as either goes: its score is the lower of their importances. So each level
prunes whole channels in the order of their importance, but for the last one, which goes in part, since the number of
pruned weights is exact. Without that rest a masked model computes what the library's smaller one would, unless a norm
takes its mean over channels. Biases and norms keep their values, as they do under every pruner.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smc_harness import PrunerContext, default_plan, hookimpl
from smc_harness.declarations.plans import Stage
from smc_harness.errors import PluginError, UsageError, one_line
from smc_pruners.adapters._library import Phase, check_installed, class_at, is_place, made, read_arguments, source_of

if TYPE_CHECKING:
    from torch import Tensor, nn

name = "torch-pruning"
description = "channels by an importance of Torch-Pruning, on its groups of coupled layers"
score = "the importance of the channel"
paper = "Fang et al. 2023, arXiv 2301.12900"
cost = "that of its phase"
default = False
nested = True

_VISITS = 20
"""Of each node, on average, in the search for one group; in the models that it was tried on, there are at most 1.6."""


@dataclass(frozen=True)
class Params:
    """importance: a class of `torch_pruning.importance`, such as `MagnitudeImportance`, `TaylorImportance`,
    `HessianImportance`, `LAMPImportance`, `FPGMImportance`, `ActivationImportance`, `BNScaleImportance` or
    `RandomImportance`, or one by its place, `package.module:Class` or `file.py:Class`. arguments: what it takes, such
    as `p=1 normalizer=max`. global_pruning: whether all channels are ranked together, or each group gives the same
    share of its own. batches: training batches for importances that want gradients or activations; Hessian goes through
    their examples one by one. phase: when it prunes, by the default plan of that phase.

    The channels of a layer that no other layer reads, such as the classes, may not go, nor the best channel of any
    group, nor what belongs to no group, as the library does not follow it. A level beyond all channels that may go
    (`share in channels` in the log of a cell) prunes of that rest, too, by magnitude.
    """

    importance: str = "MagnitudeImportance"
    arguments: str = ""
    global_pruning: bool = True
    batches: int = 8
    phase: Phase = "after"

    def __post_init__(self) -> None:
        read_arguments(self.arguments)
        if self.batches < 1:
            raise UsageError(f"batches={self.batches} given; a number of at least 1 would work")


params = Params


def phase(params: Params) -> str:
    return params.phase


def files(params: Params) -> Sequence[Path]:
    """The source of somebody's own importance, so that an edited one is measured anew."""
    return source_of(params.importance) if is_place(params.importance) else ()


@hookimpl
def plan(level: float, context: PrunerContext) -> Sequence[Stage]:
    """Raises UsageError where the library is missing, before anything is trained for it."""
    check_installed("torch_pruning", "torch-pruning")
    return default_plan(context.params.phase, level)


@hookimpl
def compute_scores(model: nn.Module, context: PrunerContext) -> Mapping[str, Tensor]:
    """Returns the lower of the importances of a weight's channels; above all of them, the rest by magnitude.

    Raises PluginError where the library cannot follow the model.
    """
    import torch

    check_installed("torch_pruning", "torch-pruning")
    importance = _importance(context.params)
    graph = _graph(model, context)
    prunable = {id(weight): key for key, weight in context.prunable(model)}
    scores = {key: torch.full_like(weight, torch.inf, dtype=torch.float64) for key, weight in context.prunable(model)}
    _show_data(importance, model, context)
    with torch.no_grad():
        for group in _groups(graph, context.name):
            members = list(_members(graph, group))  # before the importance, which may sort the group's lists
            if (found := importance(group)) is None:
                continue
            # it may have more than there are channels; and NaN, from zeros that were divided by their mean
            known = found.detach().float()[: len(group[0].idxs)].nan_to_num(0.0)
            ranked = _ranked(known, context.params.global_pruning)
            for weight, axis, places, channels in members:
                if (key := prunable.get(id(weight))) is not None:
                    lowest = scores[key].new_full((weight.shape[axis],), torch.inf)
                    values = ranked[channels.to(ranked.device)].to(lowest)
                    lowest.scatter_reduce_(0, places.to(lowest.device), values, "amin")
                    shape = [-1 if i == axis else 1 for i in range(weight.dim())]
                    scores[key] = torch.minimum(scores[key], lowest.view(shape))
    for module in model.modules():
        module.__dict__.pop("_importance", None)  # activations that the library leaves behind
    _rest_by_magnitude(scores, model, context)
    return scores


def _rest_by_magnitude(scores: dict[str, Tensor], model: nn.Module, context: PrunerContext) -> None:
    """Put the weights that belong to no channel that may go above all others, the larger ones highest."""
    finite = [float(tensor[tensor.isfinite()].max()) for tensor in scores.values() if tensor.isfinite().any()]
    in_channels = sum(int(tensor.isfinite().sum()) for tensor in scores.values())
    context.log("share in channels", in_channels / max(1, sum(tensor.numel() for tensor in scores.values())))
    for key, weight in context.prunable(model):
        above = max(finite, default=0.0) + 1.0 + weight.detach().abs().double()
        scores[key] = above.where(scores[key].isinf(), scores[key])


# -- the library's side -------------------------------------------------------------------------------------------


def _importance(params: Params) -> Any:
    """Raises UsageError for one that the library has not, or that wants its whole pruner."""
    from torch_pruning.pruner import importance

    given = f"importance={params.importance}"
    known = sorted(key for key in vars(importance) if key.endswith("Importance") and key != "Importance")
    if is_place(params.importance):
        kind = class_at(params.importance)
    elif params.importance not in known:
        raise UsageError(f"{given} given; {', '.join(known)} would work")
    else:
        kind = getattr(importance, params.importance)
    if issubclass(kind, importance.OBDCImportance):
        raise UsageError(
            f"{given} given; it follows the library's own pruner through its steps: another one would work"
        )
    return made(kind, read_arguments(params.arguments), f"{given},arguments={params.arguments} given")


def _graph(model: nn.Module, context: PrunerContext) -> Any:
    """The library's graph of layers, traced along the task's loss. Raises PluginError where it cannot be had."""
    import torch_pruning

    (batch,) = context.batches("train", min(context.batch_size, context.examples("train")))
    graph = torch_pruning.DependencyGraph()
    try:
        return graph.build_dependency(model, batch, forward_fn=context.loss, verbose=False)
    except Exception as error:
        raise PluginError(f"{context.name}: Torch-Pruning cannot trace this model: {one_line(error)}") from error


class _Dependencies(list[Any]):
    """Those of one node of the graph, in a search that may follow nodes so many times more.

    The library's search visits a node about once a group; where places are mapped in a circle, as by rotary embeddings,
    it never ends.
    """

    def __init__(self, given: Sequence[Any], left: list[int], who: str) -> None:
        super().__init__(given)
        self.left, self.who = left, who

    def __iter__(self) -> Iterator[Any]:
        self.left[0] -= 1
        if self.left[0] < 0:
            raise PluginError(f"{self.who}: Torch-Pruning's search for the groups of this model does not end")
        return super().__iter__()


def _groups(graph: Any, who: str) -> Iterator[Any]:
    """Groups of layers with a channel in common, but for those whose channels nobody reads or may not go one by one."""
    left = [most := _VISITS * len(graph.module2node)]
    for node in graph.module2node.values():
        node.dependencies = _Dependencies(node.dependencies, left, who)
    for group in graph.get_all_groups():
        left[0] = most
        modules = [dependency.target.module for dependency, _ in group]
        readers = [dependency for dependency, _ in group if _axis(graph, dependency) == "in"]
        if readers and not any(_bundled(module) for module in modules):
            yield group


def _bundled(module: Any) -> bool:
    """Whether a layer treats its channels in equal bundles, as group norms do: they could only go together."""
    groups = getattr(module, "groups", getattr(module, "num_groups", 1))
    return bool(groups != 1 and groups != getattr(module, "out_channels", None))


def _axis(graph: Any, dependency: Any) -> str:
    """`out` where a layer computes the channels, `in` where a matrix or a kernel reads them, else empty."""
    from torch import nn

    module, handler = dependency.target.module, dependency.handler
    weight = getattr(module, "weight", None)
    if isinstance(module, nn.Parameter):
        return "out"
    if not isinstance(weight, nn.Parameter):
        return ""
    return "out" if weight.dim() == 1 or graph.is_out_channel_pruning_fn(handler) else "in"


def _members(graph: Any, group: Any) -> Iterator[tuple[Tensor, int, Tensor, Tensor]]:
    """(weight, axis along which it has channels, places on it, channel of the group at each place)."""
    import torch
    from torch import nn

    for item in group:
        dependency, module = item.dep, item.dep.target.module
        side = _axis(graph, dependency)
        if not side:
            continue
        weight = module if isinstance(module, nn.Parameter) else module.weight
        if isinstance(module, nn.Parameter):
            axis = dependency.target.pruning_dim
        elif weight.dim() == 1:
            axis = 0
        else:
            # embeddings, and kernels of transposed convolutions, hold what they compute in their second dimension
            turned = isinstance(module, nn.Embedding) or getattr(module, "transposed", False)
            axis = int((side == "in") != turned)
        yield weight, axis, torch.tensor(item.idxs), torch.tensor(item.root_idxs)


def _ranked(importance: Tensor, together: bool) -> Tensor:
    """What channels are compared by; +inf for the best of the group, without which there would be no layer."""
    import torch

    order = importance.argsort(stable=True)
    ranked = importance.clone()
    if not together:
        # channel k of n goes as soon as the group's share exceeds k / n
        ranked[order] = torch.arange(len(order), device=order.device) / len(order)
    ranked[order[-1]] = torch.inf
    return ranked


def _show_data(importance: Any, model: nn.Module, context: PrunerContext) -> None:
    """Gradients or activations, for the importances that want them, as the library's own pages do it."""
    import torch
    from torch_pruning.pruner import importance as known

    n = context.params.batches * context.batch_size
    if hasattr(importance, "compute_importance"):
        with torch.no_grad(), importance.compute_importance(model):
            for batch in context.batches("train", n):
                context.loss(model, batch)
    elif isinstance(importance, known.GroupHessianImportance):
        for batch in context.batches("train", n, 1):
            model.zero_grad()
            torch.autograd.backward(context.loss(model, batch))
            importance.accumulate_grad(model)
    elif isinstance(importance, known.GroupTaylorImportance):
        for batch in context.batches("train", n):
            torch.autograd.backward(context.loss(model, batch))
    else:
        return
    for parameter in model.parameters():
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
