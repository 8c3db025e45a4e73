"""Whatever happens to the files of a store, nothing is read from it that was not written to it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from smc_harness.cells import Measurement
from smc_harness.errors import StoreError
from smc_harness.store.artifacts import Artifacts
from smc_harness.store.results import Results

MEASURED = {f"{number:02d}key": Measurement(value=number / 7, n=3, seconds=1.0) for number in range(30)}
TENSORS = {
    "weights:w": torch.arange(12.0).view(3, 4),
    "mask:w": torch.tensor([True, False]),
    "half": torch.ones(3).half(),
}
VALUES = torch.linspace(0, 1, 50)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("whole")
    artifacts, results = Artifacts(folder / "artifacts"), Results(folder)
    artifacts.save("abcd", TENSORS, {"progress": 0.5})
    for key, measurement in MEASURED.items():
        artifacts.hand_over(key, {"values": VALUES}, {"ids": None})
        results.keep(key, "task", "pruner", 0.5, 0, measurement, artifacts.pending[key])
    assert (folder / "results.sqlite-wal").stat().st_size  # what is not in the main file yet
    yield folder
    results.close()


def damaged(content: bytes, data: st.DataObject) -> bytes:
    kind = data.draw(st.sampled_from(["cut", "bit", "bytes"]))
    place = data.draw(st.integers(0, len(content) - 1))
    if kind == "cut":
        return content[:place]
    if kind == "bit":
        return content[:place] + bytes([content[place] ^ 1 << data.draw(st.integers(0, 7))]) + content[place + 1 :]
    other = data.draw(st.binary(min_size=1, max_size=200))
    return (content[:place] + other + content[place + len(other) :])[: len(content)]


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_an_artifact_is_what_was_written_or_nothing(whole: Path, tmp_path_factory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("artifact")
    artifacts = Artifacts(folder)
    path = artifacts.path("abcd")
    path.parent.mkdir()
    path.write_bytes(damaged((whole / "artifacts/ab/abcd.safetensors").read_bytes(), data))
    if (found := artifacts.load("abcd")) is not None:
        assert found[1] == {"progress": 0.5}
        assert found[0].keys() == TENSORS.keys()
        assert all(torch.equal(found[0][name], tensor) for name, tensor in TENSORS.items())


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_result_is_what_was_written_or_nothing_or_one_line(
    whole: Path, tmp_path_factory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("result") / "store"
    shutil.copytree(whole, folder)
    if data.draw(st.booleans()):  # as a run leaves it that came to its end
        Results(folder).close()
    path = folder / data.draw(st.sampled_from([file.name for file in folder.glob("results.sqlite*")]))
    path.write_bytes(damaged(path.read_bytes(), data) if path.stat().st_size else b"")
    artifacts = Artifacts(folder / "artifacts")
    for key in MEASURED:
        if (kept := artifacts.load(key)) is not None:
            assert torch.equal(kept[0]["values"], VALUES)
    try:
        results = Results(folder)
        assert results.find(MEASURED).items() <= MEASURED.items()
        results.keep("00key", "task", "pruner", 0.5, 0, MEASURED["00key"], b"outcomes")
        assert results.find(["00key"]) in ({}, {"00key": MEASURED["00key"]})
        results.sessions()
        results.last_failed()
        results.close()
    except StoreError as error:
        assert "results.sqlite: " in str(error) and "\n" not in str(error)
