"""The real files, where SMC_DATA_DIR has them: every set is read, line by line, in the languages that it has."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from smc_tasks.translation.parallel import Bitext

FOLDER = Path(os.environ.get("SMC_DATA_DIR", "/nowhere")) / "translation"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="SMC_DATA_DIR does not have the files")

MBART = "ar cs de en es et fi fr gu hi it ja kk ko lt lv my ne nl ro ru si tr vi zh".split()  # noqa: SIM905


@pytest.mark.parametrize(
    ("name", "languages", "rows"),
    [
        ("multi30k/train.jsonl", ["en", "de", "fr", "cs"], 29_000),
        ("multi30k/test_2016_flickr.jsonl", ["en", "de", "fr", "cs"], 1000),
        ("flores200/dev.jsonl", MBART, 997),
        ("flores200/devtest.jsonl", MBART, 1012),
        ("ntrex128/test.jsonl", MBART, 1997),
        ("mafand/en-hau/train.jsonl", ["en", "ha"], 5865),
        ("mafand/fr-wol/test.jsonl", ["fr", "wo"], 1500),
    ],
)
def test_every_language_of_a_real_set_is_found(name: str, languages: list[str], rows: int) -> None:
    found = Bitext(name, tuple(languages)).read(FOLDER)
    assert set(found) == set(languages)
    assert {len(sentences) for sentences in found.values()} == {rows}
    assert sum(not sentence for sentences in found.values() for sentence in sentences) <= rows // 100
