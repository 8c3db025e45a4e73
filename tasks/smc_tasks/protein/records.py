"""Proteins with a class, from CSV, FASTA, or the files of HotProtein."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from smc_harness.errors import UsageError
from smc_tasks.protein import hotprotein

FASTA = (".fa", ".faa", ".fasta")
PICKLE = ".pkl"


class Record(NamedTuple):
    """id: stable across runs. sequence: letters of amino acids. label: the class, a whole number."""

    id: str
    sequence: str
    label: int


class Protein(NamedTuple):
    """id: stable across runs. tokens: ids, the special ones at both ends included. label: the class, from 0."""

    id: str
    tokens: tuple[int, ...]
    label: int

    @property
    def group(self) -> str:
        """Proteins are independent draws."""
        return self.id


def read(path: Path, split: str, folder: Path) -> list[Record]:
    """All proteins of a file, or those of a split where it tells them apart.

    CSV with the columns sequence and label, and optionally id and set; FASTA whose headers end in the label, as in
    `>P12345 2` (either may be gzipped); or HotProtein's pickle of names and labels, with the sequences in `folder`.
    Raises UsageError, in one line that names file and row.
    """
    found = [_record(path, number, *row) for number, row in enumerate(_rows(path, split, folder), start=1)]
    if not found:
        raise UsageError(f"{path}: no proteins for {split}")
    return found


def is_fasta(path: Path) -> bool:
    return (path.with_suffix("") if path.suffix == ".gz" else path).suffix in FASTA


def _rows(path: Path, split: str, folder: Path) -> Iterator[tuple[str, str, str]]:
    """Name, sequence and label of each protein, as they stand there."""
    if path.suffix == PICKLE:
        return hotprotein.rows(path, split, folder)
    return _labelled_fasta(path) if is_fasta(path) else _csv(path, split)


def _record(path: Path, number: int, name: str, sequence: str, label: str) -> Record:
    text = label.strip()
    if not text.isdecimal():
        raise UsageError(f"{path}: protein {number}: the label is {label!r}; a whole number from 0 on would work")
    if not sequence:
        raise UsageError(f"{path}: protein {number}: the sequence is empty")
    return Record(name or f"{path.name}:{number}", sequence, int(text))


def _csv(path: Path, split: str) -> Iterator[tuple[str, str, str]]:
    import pandas

    try:
        frame = pandas.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be read as CSV ({str(error).splitlines()[0]})") from error
    if missing := [name for name in ("sequence", "label") if name not in frame.columns]:
        raise UsageError(f"{path}: no column {missing[0]!r}; expected sequence, label, and optionally id and set")
    if "set" in frame.columns:
        frame = frame[frame["set"] == split]
    names: Sequence[str] = frame["id"] if "id" in frame.columns else [f"{path.name}:{row}" for row in frame.index]
    yield from zip(names, frame["sequence"], frame["label"], strict=True)


def _labelled_fasta(path: Path) -> Iterator[tuple[str, str, str]]:
    for header, sequence in fasta(path):
        name, _, label = header.rpartition(" ")
        yield name, sequence, label


def fasta(path: Path) -> Iterator[tuple[str, str]]:
    """Header and sequence of each protein of a file, gzipped or not. Raises UsageError."""
    import gzip

    opener = gzip.open if path.suffix == ".gz" else open
    header: str | None = None
    lines: list[str] = []
    try:
        with opener(path, "rt", encoding="utf-8") as stream:
            for line in map(str.strip, stream):
                if not line.startswith(">"):
                    lines.append(line)
                    continue
                if header is not None:
                    yield header, "".join(lines)
                elif any(lines):
                    raise UsageError(f"{path}: begins with {lines[0][:20]!r}; a header, as in '>P12345 2', would work")
                header, lines = line[1:].strip(), []
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read as FASTA ({error})") from error
    if header is not None:
        yield header, "".join(lines)
