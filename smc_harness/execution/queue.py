"""What waits to be handed out: dense trainings first, then trajectories whose dense model is there, long ones first.

A study may have a million trajectories, so nothing here looks at all of them to find one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from heapq import heapify, heappop, heappush

from smc_harness.execution.tracks import Dense, Track

_FIRST = -(10**9)
"""The rank of what was begun before, and is to go on."""


class Queue:
    """Ranks are unique, as (rank, number of arrival, track): two tracks are never compared."""

    def __init__(self, tracks: Iterable[Track]) -> None:
        self._tracks: list[tuple[int, int, Track]] = []
        self._behind: dict[Dense, list[Track]] = {}
        self._arrived = 0
        self._again = 0
        for track in tracks:
            if track.dense.settled:
                self._tracks.append(self._ranked(-track.cost, track))
            else:
                self._behind.setdefault(track.dense, []).append(track)
        heapify(self._tracks)
        costs = {dense: sum(track.cost for track in waiting) for dense, waiting in self._behind.items()}
        self._trainings = sorted(costs, key=lambda dense: -costs[dense])

    def __len__(self) -> int:
        """How many dense trainings and tracks wait."""
        return len(self._trainings) + len(self._tracks) + sum(map(len, self._behind.values()))

    def next(self, is_ready: Callable[[Dense | Track], bool], is_over: Callable[[Track], bool]) -> Dense | Track | None:
        """Take out the first that can be begun; None where none can. Tracks of which nothing is left are dropped."""
        for dense in self._trainings:
            if is_ready(dense):
                self._trainings.remove(dense)
                return dense
        found, passed = None, []
        while self._tracks and found is None:
            item = heappop(self._tracks)
            if is_ready(item[2]):
                found = item[2]
            elif not is_over(item[2]):
                passed.append(item)
        for item in passed:
            heappush(self._tracks, item)
        return found

    def put_back(self, owner: Dense | Track) -> None:
        """It comes before all others."""
        if isinstance(owner, Dense):
            self._trainings.insert(0, owner)
        else:
            self._again -= 1
            heappush(self._tracks, (_FIRST, self._again, owner))

    def release(self, dense: Dense) -> list[Track]:
        """What waited for a dense model alone; it is the caller's now."""
        return self._behind.pop(dense, [])

    def add(self, track: Track) -> None:
        """A track whose dense model is settled."""
        heappush(self._tracks, self._ranked(-track.cost, track))

    def _ranked(self, rank: int, track: Track) -> tuple[int, int, Track]:
        self._arrived += 1
        return rank, self._arrived, track
