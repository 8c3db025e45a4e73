"""Splits are read once per process and task, as far as memory goes."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
import torch

from smc_harness import hookimpl
from smc_harness.conversation import conversation
from smc_harness.conversation.conversation import Conversation
from smc_harness.conversation.options import RunOptions
from smc_harness.conversation.splits import Kept, size
from tests.toys import plugin, toy_task


class Unreadable:
    """An example that cannot be written, so that nobody knows its size."""

    def __reduce__(self) -> Any:
        raise TypeError("not to be written")


def splits(examples: int) -> dict[str, list[bytes]]:
    """About so many kilobytes."""
    return {"train": [bytes(1000)] * examples, "test": [b""]}


def kept(room: int, *examples: int) -> list[int]:
    """Which of several are left after all were put."""
    found = Kept(room)
    for number, count in enumerate(examples):
        found.put((number,), splits(count))
    return [number for number in range(len(examples)) if found.get((number,)) is not None]


def test_as_many_are_kept_as_have_room_those_used_last_first() -> None:
    assert kept(10_000_000, 100, 100, 100, 100) == [0, 1, 2, 3]
    assert kept(250_000, 100, 100, 100, 100) == [2, 3]
    assert kept(350_000, 100, 100, 100, 100) == [1, 2, 3]


def test_two_are_kept_however_large_they_are() -> None:
    assert kept(1000, 100, 100, 100) == [1, 2]


def test_what_is_used_stays() -> None:
    found = Kept(250_000)
    for number in range(2):
        found.put((number,), splits(100))
    assert found.get((0,)) is not None
    found.put((2,), splits(100))
    assert [found.get((number,)) is not None for number in range(3)] == [True, False, True]


def test_the_size_is_told_from_a_part() -> None:
    one = len(pickle.dumps(bytes(1000)))
    assert size([bytes(1000)] * 10) == 10 * one
    assert size([bytes(1000)] * 10_000) == pytest.approx(10_000 * one, rel=0.02)


def test_a_view_counts_as_much_as_it_shows() -> None:
    rows = torch.zeros(1000, 25, dtype=torch.long)
    assert size([(row, 1) for row in rows]) == pytest.approx(1000 * 25 * 8, rel=0.2)


def test_of_unknown_size_no_more_are_kept_than_two() -> None:
    found = Kept()
    for number in range(3):
        found.put((number,), {"train": [Unreadable()], "test": [1]})
    assert [found.get((number,)) is not None for number in range(3)] == [False, True, True]


def test_data_is_prepared_once_though_other_tasks_come_in_between(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversation, "_splits", Kept())
    calls: list[str] = []

    def counted(name: str) -> Any:
        module = toy_task()
        prepare = module.prepare_data

        @hookimpl
        def prepare_data(context: Any) -> Any:
            calls.append(name)
            return prepare(context)

        module.prepare_data = prepare_data  # type: ignore[attr-defined]
        return plugin("task", name, module)

    tasks = [counted(name) for name in "abcd"]
    for task in tasks * 2:
        assert Conversation(task, None, [], RunOptions(), 0).data
    assert calls == list("abcd")
