"""A session plugin that overhears a pruner: what its hooks leave changed, before the harness puts it right."""

from __future__ import annotations

import random
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy
import torch
from torch import Tensor, nn
from torch.nn.modules import module as modules

from smc_harness.conformance.surroundings import settings
from smc_harness.conversation.conversation import Conversation
from smc_harness.hookspecs import hookimpl

HOOKS = (
    "_forward_hooks",
    "_forward_pre_hooks",
    "_backward_hooks",
    "_backward_pre_hooks",
    "_state_dict_hooks",
    "_load_state_dict_pre_hooks",
)
_TENSOR_HOOKS = ("_backward_hooks", "_post_accumulate_grad_hooks")
_GLOBAL_HOOKS = ("_global_forward_hooks", "_global_forward_pre_hooks", "_global_backward_hooks")


@dataclass
class Observer:
    """found: {kind: sentences}, in the order of the calls; of kinds `weights`, `dtype`, `mode`, `hooks`, `random` and
    `settings`. splits: of the data that the pruner asked for.
    """

    found: dict[str, list[str]] = field(default_factory=dict)
    splits: set[str] = field(default_factory=set)

    def listen(self, talk: Conversation) -> None:
        """Note what examples the pruner of a conversation asks for."""
        drawn = talk.batches_drawn

        def noted(split: str, n: int, size: int | None) -> Iterator[Any]:
            self.splits.add(split)
            return drawn(split, n, size)

        talk.batches_drawn = noted  # type: ignore[method-assign]

    @hookimpl(wrapper=True)
    def compute_scores(self, model: nn.Module, context: Any) -> Generator[None, Any, Any]:
        before = View.of(model)
        try:
            return (yield)
        finally:
            self._compare(before, View.of(model), "compute_scores", weights=True)

    @hookimpl(wrapper=True)
    def apply_mask(self, model: nn.Module, context: Any) -> Generator[None, Any, Any]:
        before = View.of(model)
        try:
            return (yield)
        finally:
            self._compare(before, View.of(model), "apply_mask", weights=False)

    @hookimpl(wrapper=True)
    def update_mask(self, model: nn.Module, context: Any) -> Generator[None, Any, Any]:
        before = View.of(model)
        try:
            return (yield)
        finally:
            self._compare(before, View.of(model), "update_mask", weights=True)

    def _compare(self, before: View, after: View, hook: str, weights: bool) -> None:
        for kind, sentence in changes(before, after, hook, weights):
            sentences = self.found.setdefault(kind, [])
            if sentence not in sentences:
                sentences.append(sentence)


def changes(before: View, after: View, hook: str, weights: bool) -> Iterator[tuple[str, str]]:
    """(kind, sentence) for each thing that a hook left changed. weights: whether it must leave their values alone."""
    for name, (kind, tensor) in before.weights.items():
        now = after.weights.get(name)
        if now is None or now[0] != kind:
            yield "dtype", f"{hook} leaves {name!r} {'gone' if now is None else f'as {now[0]}'}; it was {kind}"
        elif weights and not _same(tensor, now[1]):
            yield "weights", f"{hook} changes {name!r}; a model left as it was found would work"
    if changed := [name for name, mode in before.modes.items() if after.modes.get(name, mode) is not mode]:
        word = "training" if after.modes[changed[0]] else "eval"
        yield "mode", f"{hook} leaves the model in {word} mode; model.train(mode) with the old one would work"
    if added := sorted(after.weights.keys() - before.weights.keys()):
        yield "dtype", f"{hook} adds {added[0]!r} to the model; context.state keeps tensors"
    if replaced := sorted(after.replaced - before.replaced):
        yield "hooks", f"{hook} leaves another forward() in {replaced[0]}; putting back its own would work"
    if leaked := sorted(after.hooks - before.hooks, key=str):
        place, table, _ = leaked[0]
        yield "hooks", f"{hook} leaves a hook in {table} of {place}; handle.remove() would work"
    for name, state in before.random.items():
        if not numpy.array_equal(state, after.random[name]):
            yield "random", f"{hook} draws from {name}, or seeds it; drawing from context.generator would work"
    for name, value in before.settings.items():
        if after.settings[name] != value:
            yield "settings", f"{hook} leaves {name} changed; putting back what it was would work"


@dataclass(frozen=True)
class View:
    """Of a model and the global generators, at one moment."""

    weights: Mapping[str, tuple[str, Tensor]]
    modes: Mapping[str, bool]
    hooks: set[tuple[str, str, int]]
    replaced: set[str]
    random: Mapping[str, Any]
    settings: Mapping[str, Any]

    @classmethod
    def of(cls, model: nn.Module) -> View:
        weights = {**dict(model.named_parameters()), **dict(model.named_buffers())}
        owners: Sequence[tuple[str, Any]] = [(name or "the model", module) for name, module in model.named_modules()]
        hooks = {
            (f"module {name!r}" if module is not model else name, table, key)
            for name, module in owners
            for table in HOOKS
            for key in getattr(module, table, None) or ()
        }
        hooks |= {
            (f"parameter {name!r}", table, key)
            for name, tensor in weights.items()
            for table in _TENSOR_HOOKS
            for key in getattr(tensor, table, None) or ()
        }
        hooks |= {
            ("every module", table, key) for table in _GLOBAL_HOOKS for key in getattr(modules, table, None) or ()
        }
        return cls(
            {name: (f"{t.dtype} on {t.device}, {tuple(t.shape)}", t.detach().clone()) for name, t in weights.items()},
            {name: module.training for name, module in owners},
            hooks,
            {f"module {name!r}" for name, module in owners if "forward" in vars(module)},
            {
                "torch's global generator": torch.get_rng_state().numpy().copy(),
                "numpy's global generator": numpy.random.get_state(legacy=False)["state"]["key"].copy(),
                "Python's module random": numpy.array(random.getstate()[1]),
            },
            settings(),
        )


def _same(left: Tensor, right: Tensor) -> bool:
    """To the bit, NaN included."""
    return torch.equal(left.reshape(-1).view(torch.uint8), right.reshape(-1).view(torch.uint8))
