"""Parallel texts: which file, column or key holds which language, and its sentences. Does not import torch."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations
from pathlib import Path
from typing import Any

from smc_harness.errors import UsageError
from smc_tasks._sources import HubDataset, json_lines, plain_or_gzipped

Texts = dict[str, list[str]]
"""Language -> its sentences, line by line the translations of each other."""


@dataclass(frozen=True)
class Bitext:
    """Parallel text under --data-dir.

    pattern: a file of JSON lines, or, with a `*` for the language, text files of one sentence a line.
    languages: as named by the user; in JSON, those that the file has are taken.
    """

    pattern: str
    languages: tuple[str, ...]

    def files(self, data_dir: Path | None) -> list[str]:
        """Names relative to --data-dir, each plain or gzipped."""
        if "*" not in self.pattern:
            return [plain_or_gzipped(data_dir, self.pattern)]
        return [plain_or_gzipped(data_dir, self.pattern.replace("*", language)) for language in self.languages]

    def read(self, data_dir: Path) -> Texts:
        """Raises UsageError where the files hold fewer than two of the languages, or not equally many sentences."""
        names = self.files(data_dir)
        if "*" not in self.pattern:
            return texts(json_lines(data_dir / names[0]), self.languages, str(data_dir / names[0]))
        pairs = zip(self.languages, names, strict=True)
        found = {code(language): _lines(data_dir / name) for language, name in pairs}
        if len(lengths := {len(lines) for lines in found.values()}) > 1:
            raise UsageError(
                f"{data_dir / self.pattern}: {' and '.join(map(str, sorted(lengths)))} lines; files of equally many, "
                "each line the translation of the others', would work"
            )
        return found


def opus_pair(language: str, pivot: str) -> str:
    """The name of a pair in OPUS-100: both languages in the order of the alphabet."""
    return "-".join(sorted((language, pivot)))


def hub_texts(dataset: HubDataset, languages: Sequence[str]) -> Texts:
    """The parallel text of a dataset of the hub. Raises UsageError."""
    return texts(dataset.rows(), languages, dataset.name)


def texts(rows: Iterable[Mapping[str, Any]], languages: Sequence[str], where: str) -> Texts:
    """From rows {"translation": {language: text}} or {language: text}, `sentence_` before the language or not.

    What is missing in a row is an empty sentence. Raises UsageError where there are fewer than two of the languages.
    """
    wanted = [code(language) for language in languages]
    found: Texts = {}
    columns: dict[str, str] = {}
    for number, row in enumerate(rows):
        sentences = row.get("translation", row)
        if not isinstance(sentences, Mapping):
            raise UsageError(
                f"{where}: row {number + 1} has no languages; a text for each of {', '.join(languages)} would"
            )
        if not columns:
            known = {_code_of_column(name): name for name in sentences}
            columns = {language: known[language] for language in wanted if language in known}
            if len(columns) < 2:
                there = ", ".join(sorted(name for name in known if name)) or "none"
                raise UsageError(f"{where}: two or more of {', '.join(wanted)} are needed; its languages: {there}")
            found = {language: [] for language in columns}
        for language, name in columns.items():
            text = sentences.get(name)
            found[language].append(text.strip() if isinstance(text, str) else "")
    if not found:
        raise UsageError(f"{where}: no rows")
    return found


def directions(languages: Iterable[str], pivot: str) -> list[tuple[str, str]]:
    """(source, target) of the languages, all of them, or with a pivot those that have it on one side."""
    return [pair for pair in permutations(languages, 2) if not pivot or code(pivot) in pair]


@lru_cache(maxsize=1000)
def code(language: str) -> str:
    """The shortest ISO 639 code of a language: `de` for de, deu, deu_Latn and de_DE. Raises UsageError."""
    import langcodes
    from langcodes.tag_parser import LanguageTagError

    try:
        return str(langcodes.standardize_tag(language, macro=True)).partition("-")[0]
    except LanguageTagError as error:
        raise UsageError(f"{language!r} is no language; a code of ISO 639 such as de or deu would work") from error


def _code_of_column(name: str) -> str:
    """Of a column that may hold something else: then empty."""
    try:
        return code(name.removeprefix("sentence_"))
    except UsageError:
        return ""


def _lines(path: Path) -> list[str]:
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8", newline="\n") as stream:
            return [line.strip() for line in stream]
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read as text ({error})") from error
