"""Proteins with a class, from CSV or FASTA, and their ids in the alphabet of ESM."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from smc_harness.errors import UsageError

ALPHABET = ("<cls>", "<pad>", "<eos>", "<unk>", *"LAGVSERTIDPKQNFYMHWCXBUZO.-", "<null_1>", "<mask>")
"""The tokens of ESM-1b and ESM-2, by id."""
CLS, PAD, EOS, UNKNOWN = range(4)


class Protein(NamedTuple):
    """id: stable across runs. tokens: ids, the special ones at both ends included. label: the class, from 0."""

    id: str
    tokens: tuple[int, ...]
    label: int


def read(path: Path, split: str, longest: int) -> list[Protein]:
    """All proteins of a file, or those of a split where it has a column `set`.

    CSV with the columns sequence and label, and optionally id and set; or FASTA whose headers end in the label, as in
    `>P12345 2`. Either may be gzipped. longest: residues that are kept, from the start.
    Raises UsageError, in one line that names file and row.
    """
    rows = _fasta(path) if ".fa" in path.name else _csv(path, split)
    found = []
    for number, (identifier, sequence, label) in enumerate(rows, start=1):
        text = label.strip()
        if not text.isdecimal():
            raise UsageError(f"{path}: protein {number}: the label is {label!r}; a whole number from 0 on would work")
        if not sequence:
            raise UsageError(f"{path}: protein {number}: the sequence is empty")
        found.append(Protein(identifier or f"{path.name}:{number}", encode(sequence, longest), int(text)))
    if not found:
        raise UsageError(f"{path}: no proteins for {split}")
    return found


def encode(sequence: str, longest: int) -> tuple[int, ...]:
    """`<cls>`, the first residues, `<eos>`; letters that ESM does not know are `<unk>`."""
    return (CLS, *(_IDS.get(letter, UNKNOWN) for letter in sequence.upper()[:longest]), EOS)


_IDS = {letter: number for number, letter in enumerate(ALPHABET) if len(letter) == 1}


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


def _fasta(path: Path) -> Iterator[tuple[str, str, str]]:
    import gzip

    opener = gzip.open if path.suffix == ".gz" else open
    header, lines = "", []
    try:
        with opener(path, "rt", encoding="utf-8") as stream:
            for line in (*stream, ">"):
                if not line.startswith(">"):
                    lines.append(line.strip())
                    continue
                if header:
                    name, _, label = header.rpartition(" ")
                    yield name, "".join(lines), label
                header, lines = line[1:].strip(), []
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read as FASTA ({error})") from error
