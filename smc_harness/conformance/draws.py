"""Whether random numbers are drawn, from whatever generator."""

from __future__ import annotations

import inspect
import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import numpy
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from smc_harness.conversation.conversation import Conversation

_GENERATORS = ((numpy.random, "default_rng"), (numpy.random, "RandomState"), (random, "Random"))
"""What draws without torch, beside the global generators."""


class Draws(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """seen: the first numbers of each draw of torch, and with what each generator of numpy and Python was made."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seen: list[str] = []
        self.paused = False

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        found = func(*args, **(kwargs or {}))
        if not self.paused and torch.Tag.nondeterministic_seeded in func.tags:
            self.seen.append(str([item.flatten()[:64].tolist() for item in tree_leaves(found)]))
        return found


@contextmanager
def counted_draws(talk: Conversation) -> Iterator[Draws]:
    """Counts what a pruner draws; which examples it is given is the harness's draw, and does not count."""
    draws, drawn = Draws(), talk.batches_drawn

    def batches(split: str, n: int, size: int | None) -> Iterator[Any]:
        draws.paused = True
        given = list(drawn(split, n, size))
        draws.paused = False
        return iter(given)

    def noted(make: Any) -> Any:
        def made(*arguments: Any, **named: Any) -> Any:
            draws.seen.append(f"{make.__name__}{arguments}{named}")
            return make(*arguments, **named)

        if not inspect.isclass(make):
            return made
        # what asks for instances of the class must find one
        return type(make.__name__, (make,), {"__new__": lambda kind, *rest, **named: made(*rest, **named)})

    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(talk, "batches_drawn", batches))
        for module, name in _GENERATORS:
            stack.enter_context(mock.patch.object(module, name, noted(getattr(module, name))))
        stack.enter_context(draws)
        yield draws
