"""A checkpoint that somebody else pruned: its zeros are the mask, its values the weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smc_harness import Prune, PrunerContext, Train, hookimpl
from smc_harness.errors import UsageError
from smc_pruners._safetensors import sparsity, weight_files

if TYPE_CHECKING:
    from torch import Tensor, nn

name = "given"
phase = "after"
description = "a checkpoint that was pruned elsewhere, evaluated as it is or fine-tuned under its mask"
score = "whether the file has a zero"
paper = "-"
cost = "1 evaluation, or 1 training"
default = False
needs = ("path",)


@dataclass(frozen=True)
class Params:
    """path: of the checkpoint, a folder as `save_pretrained` writes it or one .safetensors file, by the names of the
    task's model. train: whether it is the start of a training with the task's recipe, in which its zeros stay; else it
    is evaluated as it is.

    Its one level is the share of zeros among the file's two-dimensional tensors, to four digits. What counts is the
    sparsity over the task's scope, which the result has as `realised`.
    """

    path: Path | None = None
    train: bool = False


params = Params


def files(params: Params) -> Sequence[Path]:
    assert params.path is not None
    return weight_files(params.path)


def levels(params: Params) -> tuple[float]:
    """Counted over all two-dimensional tensors: which of them are in the scope only the model could tell."""
    return (min(round(sparsity(files(params)), 4), 0.9999),)


@hookimpl
def plan(level: float, context: PrunerContext) -> Sequence[Prune | Train]:
    """The trained dense model stands before a pruning that is not followed by a training: nothing is left of it but in
    the controls, which are random masks on it.
    """
    return [Prune(level), Train()] if context.params.train else [Train(), Prune(level)]


@hookimpl
def apply_mask(model: nn.Module, context: PrunerContext) -> Mapping[str, Tensor]:
    """Take all values from the file, those out of scope included.

    Returns: {name: where the file is not zero}. Raises UsageError where the file is of another model. In a training,
    the task's output layers may be missing: they are new then, and dense.
    """
    import torch
    from safetensors import safe_open

    wanted: Params = context.params
    masks: dict[int, Tensor] = {}
    missing: list[str] = []
    with ExitStack() as stack:
        held: dict[str, Any] = {}
        for file in files(wanted):
            stream = stack.enter_context(safe_open(file, framework="pt"))
            held |= dict.fromkeys(stream.keys(), stream)
        for tensor, names in _tensors(model):
            sources = _sources(names, held, getattr(model, "base_model_prefix", ""))
            values = [held[source].get_tensor(source) for source in sources]
            if not values:
                missing.append(names[0])
                continue
            for source, value in zip(sources, values, strict=True):
                _check(source, value, tensor, wanted.path)
                if not torch.equal(value, values[0]):
                    raise UsageError(
                        f"{wanted.path}: {sources[0]!r} and {source!r} differ; in the task's model they are one tensor"
                    )
            tensor.copy_(values[0])
            masks[id(tensor)] = values[0] != 0
    _check_missing(missing, bool(masks), context)
    return {
        key: masks.get(id(weight), torch.ones_like(weight, dtype=torch.bool)) for key, weight in context.prunable(model)
    }


def _tensors(model: nn.Module) -> Iterator[tuple[Tensor, list[str]]]:
    """Every parameter and saved buffer with all of its names; a tied one has several."""
    found: dict[int, tuple[Tensor, list[str]]] = {}
    for key, tensor in model.state_dict(keep_vars=True).items():
        found.setdefault(id(tensor), (tensor, []))[1].append(key)
    yield from found.values()


def _sources(names: Sequence[str], held: Mapping[str, Any], prefix: str) -> list[str]:
    """What the file calls a tensor of the model; as in transformers, with or without the prefix of the base model."""
    dotted = f"{prefix}." if prefix else ""
    spellings = [(key, key.removeprefix(dotted), dotted + key) for key in names]
    return [found for each in spellings if (found := next((key for key in each if key in held), None))]


def _check(source: str, value: Tensor, tensor: Tensor, path: Path | None) -> None:
    """Raise UsageError unless the model's tensor can take the file's value."""
    if value.shape != tensor.shape:
        given, own = tuple(value.shape), tuple(tensor.shape)
        raise UsageError(f"{path}: {source!r} has shape {given}; that of the task's model, {own}, would work")
    if tensor.is_floating_point() and (not value.is_floating_point() or value.element_size() < 2):
        dtype = str(value.dtype).removeprefix("torch.")
        raise UsageError(f"{path}: {source!r} is {dtype}, as of a quantised model; float16 or wider would work")


def _check_missing(missing: Sequence[str], any_found: bool, context: PrunerContext) -> None:
    """Raise UsageError if the file has nothing of the model, or lacks what it must have."""
    path, train = context.params.path, context.params.train
    if not any_found:
        raise UsageError(f"{path}: nothing of the task's model, such as {missing[0]!r}; a checkpoint of it would work")
    head = context.head if train else ()
    if lacking := [key for key in missing if not any(fnmatchcase(key, pattern) for pattern in head)]:
        more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
        raise UsageError(f"{path}: lacks {lacking[0]!r}{more}; a checkpoint of the task's model would work")
