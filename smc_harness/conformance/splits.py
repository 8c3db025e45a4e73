"""Checks of what a task's data are, and what its batches are made of."""

from __future__ import annotations

import hashlib
import io
import pickle
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from smc_harness.conformance.check import Check, Fault, NotApplicableError
from smc_harness.conformance.task_subject import TaskSubject
from smc_harness.conversation.conversation import Conversation

COMPARED = 1000
"""Examples of each split whose content is looked at, spread evenly over it."""

SEARCHED = 10_000
"""Examples of train, spread evenly over it, among which those of test are looked for."""

_LEAKING = 0.9
"""Share of test in train from which on it can be no accident; real data hold a few duplicates."""


def data(subject: TaskSubject) -> None:
    """It has train and test examples, as many whenever they are asked for."""
    subject.talk().data  # noqa: B018  which the harness refuses where they are no splits
    one, two = ({split: len(examples) for split, examples in splits.items()} for splits in subject.prepared)
    if one != two:
        raise Fault(
            f"prepare_data gives {_counts(one)}, and the next time {_counts(two)}; drawing from context.generator "
            "would work"
        )


def batch(subject: TaskSubject) -> None:
    """It collates examples into tensors, whatever their number."""
    talk = subject.talk()
    train = talk.data["train"]
    for count in (1, 3):
        batch = talk.collate([train[i] for i in range(min(count, len(train)))])
        if not any(isinstance(leaf, Tensor) for _, leaf in _leaves(batch)):
            raise Fault("collate gives no tensor; a tensor, or a dict, list or tuple of tensors, would work")


def same_data(subject: TaskSubject) -> None:
    """Its examples are the same ones, in the same order, whenever they are asked for: collated, 1 000 of each split."""
    talk, (one, two) = subject.talk(), subject.prepared
    for split in one:
        for place in _spread(len(one[split]), COMPARED):
            if _digest(talk, one[split], place) != _digest(talk, two[split], place):
                raise Fault(
                    f"prepare_data gives other {split} examples each time, such as number {place}; drawing from "
                    "context.generator would work"
                )


def leak(subject: TaskSubject) -> Mapping[str, float]:
    """Test is not train: of 1 000 test examples, fewer than nine in ten are among 10 000 of train, collated alike."""
    talk = subject.talk()
    train, test = (subject.prepared[0][split] for split in ("train", "test"))
    seen = {_digest(talk, train, place) for place in _spread(len(train), SEARCHED)}
    places = _spread(len(test), COMPARED)
    known = sum(_digest(talk, test, place) in seen for place in places)
    if known >= _LEAKING * len(places):
        raise Fault(f"of {len(places)} test examples, {known} are in train; others than those trained on would work")
    return {"test examples in train": known, "test examples looked for": len(places)}


def _spread(length: int, most: int) -> Sequence[int]:
    """Places from 0 to length - 1, `most` of them at most, spread evenly."""
    return [i * length // most for i in range(most)] if length > most else range(length)


def _digest(talk: Conversation, examples: Sequence[Any], place: int) -> bytes:
    """Of all that the harness sees of an example: what `collate` makes of it, which may draw."""
    with talk.seeded(talk.task, "step"):
        collated = talk.collate([examples[place]])
    digest = hashlib.blake2b(digest_size=16)
    for path, leaf in _leaves(collated):
        digest.update(f"{path} ".encode())
        digest.update(_content(leaf))
    return digest.digest()


class _Pickler(pickle.Pickler):
    """Tensors by their values: torch's own pickles of equal ones differ."""

    def reducer_override(self, item: Any) -> Any:
        if not isinstance(item, Tensor):
            return NotImplemented
        values = item.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        return tuple, ((str(item.dtype), *item.shape, values),)


def _content(leaf: Any) -> bytes:
    stream = io.BytesIO()
    try:
        _Pickler(stream).dump(leaf)
    except Exception as error:  # which of them, the object decides
        raise NotApplicableError(f"a batch holds a {type(leaf).__name__}, which pickle cannot read") from error
    return stream.getvalue()


def _leaves(item: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """(place, leaf) for what is in a batch that is no dict, list or tuple."""
    if isinstance(item, Mapping):
        for name, value in item.items():
            yield from _leaves(value, f"{path}/{name}")
    elif isinstance(item, list | tuple):
        for place, value in enumerate(item):
            yield from _leaves(value, f"{path}/{place}")
    else:
        yield path, item


def _counts(lengths: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {split}" for split, count in lengths.items())


CHECKS = (
    Check("data", data, ("network",)),
    Check("batch", batch, ("data",)),
    Check("same-data", same_data, ("batch",)),
    Check("leak", leak, ("same-data",)),
)
