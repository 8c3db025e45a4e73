"""Parallel text in the formats that real sets have."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from smc_tasks.translation.parallel import Bitext, code, directions, opus_pair, texts

from smc_harness.errors import UsageError

TWO = {"en": ["One.", "Two."], "de": ["Eins.", "Zwei."]}


@pytest.mark.parametrize(
    ("given", "expected"),
    [("de", "de"), ("deu", "de"), ("deu_Latn", "de"), ("de_DE", "de"), ("zho-CN", "zh"), ("lvs_Latn", "lv"),
     ("npi_Deva", "ne"), ("arb", "ar"), ("fr_XX", "fr"), ("pcm", "pcm")],
)  # fmt: skip
def test_a_language_has_one_code_however_it_is_written(given: str, expected: str) -> None:
    assert code(given) == expected


def test_what_is_no_language_is_refused() -> None:
    with pytest.raises(UsageError, match="'deutsch!' is no language; a code of ISO 639"):
        code("deutsch!")


@pytest.mark.parametrize(
    "row",
    [
        {"translation": {"en": "One. ", "hau": "Ɗaya."}},
        {"document_id": "x.1", "eng": "One.", "hau": "Ɗaya.", "fra": "Un."},
        {"id": 1, "sentence_eng_Latn": "One.", "sentence_hau_Latn": "Ɗaya."},
    ],
    ids=["OPUS-100 and MAFAND", "NTREX-128 and Multi30k", "FLORES-200"],
)
def test_rows_of_every_real_schema_are_read(row: dict[str, Any]) -> None:
    assert texts([row, row], ("hau", "en", "ja"), "here") == {"ha": ["Ɗaya."] * 2, "en": ["One."] * 2}


def test_a_sentence_that_is_missing_is_empty() -> None:
    assert texts([{"en": "One.", "de": None}, {"en": "Two.", "de": float("nan")}], ("en", "de"), "here")["de"] == [
        "",
        "",
    ]


def test_fewer_than_two_of_the_languages_are_refused() -> None:
    with pytest.raises(UsageError, match="here: two or more of en, ja are needed; its languages: de, en"):
        texts([{"id": "1", "en": "One.", "de": "Eins."}], ("en", "ja"), "here")


def test_no_rows_are_refused() -> None:
    with pytest.raises(UsageError, match="here: no rows"):
        texts([], ("en", "de"), "here")


def test_rows_without_languages_are_refused() -> None:
    with pytest.raises(UsageError, match="here: row 1 has no languages"):
        texts([{"translation": "One."}], ("en", "de"), "here")


@pytest.mark.parametrize("zipped", [False, True])
def test_text_files_are_read_line_by_line(tmp_path: Path, zipped: bool) -> None:
    for language, lines in TWO.items():
        # a line separator of Unicode inside a sentence does not end it
        content = "".join(f"{line} \u2028x\n" for line in lines).encode()
        name = f"train.{language}" + (".gz" if zipped else "")
        (tmp_path / name).write_bytes(gzip.compress(content) if zipped else content)
    found = Bitext("train.*", ("en", "de")).read(tmp_path)
    assert found == {language: [f"{line} \u2028x" for line in lines] for language, lines in TWO.items()}


def test_json_lines_are_read(tmp_path: Path) -> None:
    rows = [{"translation": dict(zip(TWO, pair, strict=True))} for pair in zip(*TWO.values(), strict=True)]
    (tmp_path / "train.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert Bitext("train.jsonl", ("en", "de")).read(tmp_path) == TWO


def test_text_files_of_unequal_length_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.en").write_text("1\n2\n")
    (tmp_path / "a.de").write_text("1\n")
    with pytest.raises(UsageError, match="1 and 2 lines; files of equally many"):
        Bitext("a.*", ("en", "de")).read(tmp_path)


def test_all_directions_or_those_with_the_pivot() -> None:
    assert set(directions(["en", "de", "fr"], "en")) == {("en", "de"), ("de", "en"), ("en", "fr"), ("fr", "en")}
    assert len(directions(["en", "de", "fr"], "")) == 6


def test_opus_names_a_pair_in_the_order_of_the_alphabet() -> None:
    assert [opus_pair(language, "en") for language in ("fr", "cs", "de")] == ["en-fr", "cs-en", "de-en"]
