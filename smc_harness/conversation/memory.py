"""What happens where memory runs out: half as many examples at a time."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from typing import Any

import torch


def release() -> None:
    """Give back what a failed attempt left; outside of its `except` block, whose traceback holds on to tensors."""
    gc.collect()
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.empty_cache()


def outputs(
    examples: Sequence[Any],
    size: int,
    collate: Callable[[list[Any]], Any],
    function: Callable[[Any], Sequence[Any] | torch.Tensor],
    length: Callable[[Any], int] | None = None,
) -> list[Any]:
    """`function` over batches of at most `size` examples; its results, one per example, in the examples' order.

    length: of an example; long ones go first and together, so that batches hold little padding and a lack of memory
    shows at once. Raises ValueError if a batch has another number of results than examples.
    """
    order = list(range(len(examples)))
    if length is not None:
        order.sort(key=lambda index: -length(examples[index]))
    found: list[Any] = [None] * len(examples)
    start = 0
    while start < len(order):
        part = order[start : start + size]
        try:
            results = function(collate([examples[index] for index in part]))
        except torch.OutOfMemoryError:
            if len(part) == 1:
                raise
            results = None
        if results is None:
            size = len(part) // 2
            release()
            continue
        if len(results) != len(part):
            raise ValueError(f"{len(results)} results for a batch of {len(part)} examples; one per example would work")
        for index, result in zip(part, results, strict=True):
            found[index] = result
        start += len(part)
    return found
