"""Whether random numbers are drawn, from whatever generator."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import numpy
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from smc_harness.conversation.conversation import Conversation

_GENERATORS = ((numpy.random, "default_rng"), (numpy.random, "RandomState"), (random, "Random"))
"""What draws without torch, beside the global generators."""


class Draws(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """count: draws of torch, and generators of numpy and Python that were made."""

    count = 0
    paused = False

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        self.count += not self.paused and torch.Tag.nondeterministic_seeded in func.tags
        return func(*args, **(kwargs or {}))


@contextmanager
def counted_draws(talk: Conversation) -> Iterator[Draws]:
    """Counts what a pruner draws; which examples it is given is the harness's draw, and does not count."""
    draws, drawn = Draws(), talk.batches_drawn  # type: ignore[no-untyped-call]

    def batches(split: str, n: int, size: int | None) -> Iterator[Any]:
        draws.paused = True
        given = list(drawn(split, n, size))
        draws.paused = False
        return iter(given)

    def noted(make: Callable[..., Any]) -> Callable[..., Any]:
        def made(*arguments: Any, **named: Any) -> Any:
            draws.count += 1
            return make(*arguments, **named)

        return made

    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(talk, "batches_drawn", batches))
        for module, name in _GENERATORS:
            stack.enter_context(mock.patch.object(module, name, noted(getattr(module, name))))
        stack.enter_context(draws)
        yield draws
