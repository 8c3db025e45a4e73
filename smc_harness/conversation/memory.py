"""How many examples at a time: what suits the device, and half of it where memory runs out."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from typing import Any

import torch

_TOKENS = {"cpu": 1024}
_TOKENS_ELSEWHERE = 32_768
"""Tokens of a batch, padding included, where a task leaves it to the harness.

On one thread of a CPU 1024 were among the quickest for encoders 384 and 1024 wide and texts of 10 to 500 tokens, within
3 % of the best; 16 384 took 1.6 to 2 times as long with the wide one, since what a layer hands to the next no longer
stays in the cache. A GPU wants enough work for all of its units; its number is not measured.
"""


def tokens_at_once(device: torch.device) -> int:
    """The budget of a batch that suits a device. No pruner and no level enters, so that all are scored alike."""
    return _TOKENS.get(device.type, _TOKENS_ELSEWHERE)


def release() -> None:
    """Give back what a failed attempt left; outside of its `except` block, whose traceback holds on to tensors."""
    gc.collect()
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.empty_cache()


def outputs(
    examples: Sequence[Any],
    size: int | None,
    collate: Callable[[list[Any]], Any],
    function: Callable[[Any], Sequence[Any] | torch.Tensor],
    length: Callable[[Any], int] | None = None,
    tokens: int = _TOKENS["cpu"],
) -> list[Any]:
    """`function` over batches of at most `size` examples; its results, one per example, in the examples' order.

    length: of an example; long ones go first and together, so that batches hold little padding and a lack of memory
    shows at once. tokens: where there is no size, what the examples of a batch may count together, each as much as the
    longest of them. Raises ValueError without size and length, and if a batch has another number of results than
    examples.
    """
    if size is None and length is None:
        raise ValueError("neither a size nor a length of the examples is given; one of them would work")
    order = list(range(len(examples)))
    lengths = [length(example) for example in examples] if length is not None else []
    order.sort(key=lambda index: -lengths[index] if lengths else 0)
    found: list[Any] = [None] * len(examples)
    start, room = 0, tokens if size is None else size
    while start < len(order):
        share = max(1, lengths[order[start]]) if size is None else 1
        part = order[start : start + max(1, room // share)]
        try:
            results = function(collate([examples[index] for index in part]))
        except torch.OutOfMemoryError:
            if len(part) == 1:
                raise
            results = None
        if results is None:
            room = len(part) // 2 * share
            release()
            continue
        if len(results) != len(part):
            raise ValueError(f"{len(results)} results for a batch of {len(part)} examples; one per example would work")
        for index, result in zip(part, results, strict=True):
            found[index] = result
        start += len(part)
    return found
