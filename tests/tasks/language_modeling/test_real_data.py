"""WikiText-2 itself, where it is at hand."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from smc_tasks.language_modeling.reading import _rows_of

FOLDER = Path(os.environ.get("SMC_DATA_DIR", "/nowhere")) / "wikitext2"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="SMC_DATA_DIR does not have the files")


def test_rows_are_those_of_the_hub() -> None:
    rows = list(_rows_of(FOLDER / "wiki.test.raw.txt.gz"))
    assert len(rows) == 4358 and sum(map(bool, rows)) == 2891
    assert rows[:3] == ["", " = Robert Boulter = \n", ""]
