"""The store's folder."""

from __future__ import annotations

import pytest

from smc_harness.errors import UsageError
from smc_harness.store import folder


def test_a_new_store_says_what_it_is_and_keeps_itself_out_of_git(tmp_path) -> None:
    store = folder.prepare(tmp_path / "deep" / "store")
    assert {path.name for path in store.iterdir()} == {"README.md", ".gitignore", "CACHEDIR.TAG", "artifacts", "logs"}
    assert (store / "CACHEDIR.TAG").read_text().startswith("Signature: 8a477f597d28d172789f06886806bc55")
    assert [path.name for path in store.parent.iterdir()] == ["store"]


def test_preparing_twice_keeps_what_is_there(tmp_path) -> None:
    store = folder.prepare(tmp_path / "store")
    (store / "results.sqlite").write_text("x")
    assert (folder.prepare(store) / "results.sqlite").read_text() == "x"


def test_an_empty_folder_becomes_a_store(tmp_path) -> None:
    (tmp_path / "store").mkdir()
    assert (folder.prepare(tmp_path / "store") / "CACHEDIR.TAG").is_file()


def test_a_folder_with_other_things_is_refused_and_never_cleared(tmp_path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(UsageError, match="a folder with other things in it"):
        folder.prepare(tmp_path)
    folder.clear(tmp_path)
    assert (tmp_path / "thesis.tex").exists()


def test_a_place_that_cannot_be_written_is_one_line(tmp_path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="a folder that can be written would work"):
        folder.prepare(tmp_path / "file" / "store")
