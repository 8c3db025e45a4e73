"""Looking through a store, joining stores, giving back room."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import torch

from smc_harness.cells import Measurement
from smc_harness.store import upkeep
from smc_harness.store.artifacts import Artifacts
from smc_harness.store.results import Results

A, B, C, STATE, OTHER_STATE = (letter * 40 for letter in "abcde")


def measured(value: float) -> Measurement:
    return Measurement(value=value, n=2, seconds=0.0)


def filled(folder: Path, *keys: str, state: str = "") -> Results:
    """A store in which each key's value is its first letter's number."""
    folder.mkdir(exist_ok=True)
    results, artifacts = Results(folder), Artifacts(folder / "artifacts")
    for key in keys:
        artifacts.hand_over(key, {"values": torch.tensor([float(ord(key[0]))])}, {})
        results.keep(key, "task", "pruner", 0.5, 3, measured(ord(key[0])), artifacts.pending[key])
    if state:
        artifacts.save(state, {"w": torch.ones(3).bfloat16()}, {"turn": 1})
    return results


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Results]:
    with closing(filled(tmp_path, A, B, state=STATE)) as results:
        yield results


def damage_state(folder: Path, _: Results) -> str:
    path = Artifacts(folder / "artifacts").path(STATE)
    path.write_bytes(path.read_bytes()[:-1])
    return str(path)


def damage_measurement(_: Path, results: Results) -> str:
    with results.together() as connection:
        connection.execute("UPDATE measurements SET measurement = replace(measurement, '97', '98') WHERE key = ?", (A,))
    return f"measurement {A}"


def damage_outcomes(_: Path, results: Results) -> str:
    with results.together() as connection:
        connection.execute("UPDATE outcomes SET outcomes = x'00' WHERE key = ?", (A,))
    return f"measurement {A}"


def test_a_whole_store_is_found_whole(store: Results, tmp_path: Path) -> None:
    found = upkeep.check(tmp_path, store)
    size = Artifacts(tmp_path / "artifacts").path(STATE).stat().st_size
    assert found == upkeep.Found(measurements=2, artifacts=1, size=size)


@pytest.mark.parametrize("deed", [damage_state, damage_measurement, damage_outcomes])
def test_what_is_damaged_is_named_and_taken_out(
    store: Results, tmp_path: Path, deed: Callable[[Path, Results], str]
) -> None:
    expected = deed(tmp_path, store)
    for remove in (False, True):
        found = upkeep.check(tmp_path, store, remove)
        assert found.damaged == [expected]
        assert found.measurements + found.artifacts == 2
    assert upkeep.check(tmp_path, store).damaged == []


def test_two_stores_become_one(store: Results, tmp_path: Path) -> None:
    with closing(filled(tmp_path / "other", B, C, state=OTHER_STATE)) as other:
        taken = upkeep.merge(tmp_path, store, tmp_path / "other", other)
        assert (taken.measurements, taken.artifacts) == (1, 1)
        assert store.find([A, B, C]) == {A: measured(97), B: measured(98), C: measured(99)}
        assert Artifacts(tmp_path / "artifacts").read(C)[0]["values"].tolist() == [99.0]
        loaded, note = Artifacts(tmp_path / "artifacts").load(OTHER_STATE)
        assert torch.equal(loaded["w"], torch.ones(3).bfloat16()) and note == {"turn": 1}
        assert upkeep.merge(tmp_path, store, tmp_path / "other", other) == upkeep.Taken(0, 0)


def test_what_is_damaged_is_not_taken_over(store: Results, tmp_path: Path) -> None:
    with closing(filled(tmp_path / "new")) as new:
        damage_measurement(tmp_path, store)
        damage_state(tmp_path, store)
        assert upkeep.merge(tmp_path / "new", new, tmp_path, store) == upkeep.Taken(1, 0)
        assert new.find([A, B]) == {B: measured(98)}


def test_states_of_an_age_are_removed_and_results_stay(store: Results, tmp_path: Path) -> None:
    artifacts = Artifacts(tmp_path / "artifacts")
    artifacts.save("f" * 40, {"w": torch.ones(1)})
    old = time.time() - 1000
    os.utime(artifacts.path(STATE), (old, old))
    size = artifacts.path(STATE).stat().st_size
    assert upkeep.prune(tmp_path, 500) == upkeep.Found(artifacts=1, size=size)
    assert (artifacts.has(STATE), artifacts.has("f" * 40)) == (False, True)
    assert len(store.find([A, B])) == 2


def test_half_written_files_are_removed_when_nobody_can_be_writing_them(store: Results, tmp_path: Path) -> None:
    folder = Artifacts(tmp_path / "artifacts").path(STATE).parent
    for name, age in ((".left", 2 * 86400), (".being-written", 10)):
        (folder / name).write_bytes(b"x")
        os.utime(folder / name, (time.time() - age,) * 2)
    assert upkeep.prune(tmp_path, 10**9) == upkeep.Found(size=1)
    assert [path.name for path in folder.glob(".*")] == [".being-written"]
