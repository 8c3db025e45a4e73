from __future__ import annotations

import json
from pathlib import Path

import pytest

from smc_harness.documents.writing import is_place_for_a_file, plain, write_whole


def test_plain_values_stay_and_all_others_become_something_json_can_say() -> None:
    value = {"a": (1, 2.5, None, True, "x"), 3: [float("nan"), float("inf")], ("k",): {1}, "path": Path("x")}
    found = plain(value)
    assert found == {"a": [1, 2.5, None, True, "x"], "3": [None, None], "('k',)": "{1}", "path": "x"}
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_a_file_is_replaced_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    for text in ("é", "later"):
        write_whole(tmp_path / "f.json", text)
        assert [path.read_text(encoding="utf-8") for path in tmp_path.iterdir()] == [text]


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="Is a directory"):
        write_whole(tmp_path / "folder", "text")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_place_is_good_in_a_folder_that_exists(tmp_path: Path) -> None:
    assert is_place_for_a_file(tmp_path / "new")
    assert not is_place_for_a_file(tmp_path)
    assert not is_place_for_a_file(tmp_path / "nowhere" / "new")
