"""The simulation of large studies: everything that it plans is in the store."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks import capacity


@pytest.mark.parametrize("report", [False, True])
def test_every_cell_of_the_product_is_measured_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, report: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    target = tmp_path / "found.json"
    words = ["capacity", "--pruners", "3", "--tasks", "2", "--seeds", "2", "--json", str(target)]
    monkeypatch.setattr("sys.argv", [*words, *(["--report"] if report else [])])
    assert capacity.main() == 0
    found = json.loads(target.read_text())
    assert found["cells"] == 3 * 2 * 2 * 10
    assert list(found["phases"]) == ["collect", "plan", "drive", *(["report"] if report else [])]
    assert [path.name for path in tmp_path.iterdir()] == ["found.json"]


def test_cells_without_their_number_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["capacity", "--pruners", "1", "--tasks", "1", "--seeds", "1"])
    monkeypatch.setattr(capacity, "keys", SimpleNamespace(cell=lambda last, task, options: "0" * 40))
    with pytest.raises(SystemExit, match=r"^10 cells, 10 in the store, of which \{"):
        capacity.main()
