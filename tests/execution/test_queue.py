"""In which order work is handed out."""

from __future__ import annotations

import pytest

from smc_harness.cells import Cell, Measurement
from smc_harness.conversation.options import RunOptions
from smc_harness.execution.queue import Queue
from smc_harness.execution.tracks import Dense, Track
from tests.toys import plugin, pruner_of, toy_task


def dense(name: str, *, settled: bool = False) -> Dense:
    measurement = Measurement(value=0.9, n=10, seconds=1.0) if settled else None
    return Dense(plugin("task", name, toy_task()), 0, RunOptions(), name, name, measurement=measurement)


def track(of: Dense, cost: int) -> Track:
    pruner = plugin("pruner", f"cost-{cost}", pruner_of("after"))
    return Track(of, pruner, {0.5: Cell(of.task.name, pruner.name, 0.5, 0)}, cost=cost)


def drained(queue: Queue, is_ready=lambda owner: True, is_over=lambda track: False) -> list[Dense | Track]:
    found = []
    while (owner := queue.next(is_ready, is_over)) is not None:
        found.append(owner)
    return found


@pytest.fixture
def there() -> Dense:
    return dense("there", settled=True)


def test_dense_trainings_come_before_tracks_and_long_tracks_before_short_ones(there: Dense) -> None:
    tracks = [track(there, 1), track(there, 3), track(there, 2), track(there, 3)]
    lacking = dense("lacking")
    queue = Queue([*tracks, track(lacking, 9)])
    assert drained(queue) == [lacking, tracks[1], tracks[3], tracks[2], tracks[0]]


def test_the_dense_training_on_which_most_depends_comes_first() -> None:
    little, much = dense("little"), dense("much")
    queue = Queue([track(little, 3), track(much, 2), track(much, 2)])
    assert drained(queue) == [much, little]


def test_tracks_wait_for_their_dense_model() -> None:
    lacking = dense("lacking")
    behind = [track(lacking, 1), track(lacking, 2)]
    queue = Queue(behind)
    assert drained(queue) == [lacking]
    assert len(queue) == 2
    released = queue.release(lacking)
    assert (released, len(queue)) == (behind, 0)
    for each in released:
        queue.add(each)
    assert drained(queue) == [behind[1], behind[0]]


def test_what_is_put_back_comes_before_all_others(there: Dense) -> None:
    first, second, third = (track(there, cost) for cost in (1, 2, 3))
    queue = Queue([first, second])
    queue.put_back(third)
    queue.put_back(first)
    lost = dense("lost")
    queue.put_back(lost)
    assert drained(queue) == [lost, first, third, second, first]


def test_what_cannot_begin_yet_keeps_its_place(there: Dense) -> None:
    early, late = track(there, 2), track(there, 1)
    queue = Queue([early, late])
    assert queue.next(lambda owner: owner is late, lambda each: False) is late
    assert drained(queue, is_ready=lambda owner: False) == []
    assert drained(queue) == [early]


def test_what_was_settled_meanwhile_is_dropped(there: Dense) -> None:
    over, left = track(there, 2), track(there, 1)
    queue = Queue([over, left])
    assert drained(queue, lambda owner: owner is not over, lambda each: each is over) == [left]
    assert len(queue) == 0
