"""What a run will have to compute, as far as its plans and its store tell before it begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from smc_harness.cells import Measurement
from smc_harness.execution.tracks import Track
from smc_harness.store.results import Results


@dataclass
class Forecast:
    """Of one task.

    trajectories, cells: how many there are. known: cells whose measurement is in the store. dense: dense trainings to
    do. trainings: further ones at most, each counted once however many levels share it. faults: why plans cannot be
    made, by pruner. seconds: what a dense training took, of every seed that the store has one of.
    """

    task: str
    trajectories: int = 0
    cells: int = 0
    known: int = 0
    dense: int = 0
    trainings: int = 0
    faults: dict[str, str] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)

    @property
    def hours(self) -> float | None:
        """Of one worker at most, if every training takes as long as a dense one; None where none is known."""
        if not self.dense + self.trainings:
            return 0.0
        mean = sum(self.seconds) / len(self.seconds) if self.seconds else None
        return None if mean is None else (self.dense + self.trainings) * mean / 3600


def forecast(tracks: Sequence[Track], results: Results | None) -> list[Forecast]:
    """One for every task, in order. results: of the store, if there is one. The tracks are prepared by this."""
    found: dict[str, Forecast] = {}
    counted: set[str] = set()
    for dense in dict.fromkeys(track.dense for track in tracks):
        mine = found.setdefault(dense.task.name, Forecast(dense.task.name))
        if (measured := _known(results, [dense.key]).get(dense.key)) is not None:
            mine.seconds.append(measured.seconds)
        elif dense.trained not in counted:
            mine.dense += 1
        counted.add(dense.trained)
    for track in tracks:
        _add(found[track.dense.task.name], track, results, counted)
    return list(found.values())


def _add(mine: Forecast, track: Track, results: Results | None, counted: set[str]) -> None:
    track.prepare()
    mine.trajectories += 1
    mine.cells += len(track.cells)
    if track.fault is not None:
        mine.faults[track.pruner.name] = track.fault
        return
    known = _known(results, list(track.keys.values()))
    mine.known += sum(key in known for key in track.keys.values())
    for level, trainings in track.trainings().items():
        if track.keys[level] not in known:
            mine.trainings += len(trainings - counted)
            counted |= trainings


def _known(results: Results | None, keys: Sequence[str]) -> dict[str, Measurement]:
    return {} if results is None else results.find(keys)
