"""Protein structures with a class: a CSV file that names PDB or mmCIF files. Files are read by gemmi (an extra)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from smc_harness.errors import UsageError

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

ATOMS = ("N", "CA", "C")


class Entry(NamedTuple):
    """One row. id: stable across runs. file: relative to the CSV's folder. chain: its name, or "" for the first.

    label: the class, from 0.
    """

    id: str
    file: str
    chain: str
    label: int


def read_index(path: Path, split: str | None = None) -> list[Entry]:
    """All rows of a CSV, or those of a split where one is given and there is a column `set`.

    Columns: file and label, and optionally id (else the file's name stands for it), chain and set.
    Raises UsageError, in one line that names file and row.
    """
    import pandas

    try:
        frame = pandas.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be read as CSV ({str(error).splitlines()[0]})") from error
    if missing := [name for name in ("file", "label") if name not in frame.columns]:
        raise UsageError(f"{path}: no column {missing[0]!r}; expected file, label, and optionally id, chain and set")
    found = []
    for number, row in enumerate(frame.to_dict("records"), start=1):
        file, label = row["file"].strip(), row["label"].strip()
        if not file:
            raise UsageError(f"{path}: structure {number}: no file is named")
        if not label.isdecimal():
            raise UsageError(f"{path}: structure {number}: the label is {label!r}; a whole number from 0 on would work")
        if split is None or row.get("set", split) == split:
            found.append(Entry(row.get("id") or file, file, row.get("chain", "").strip(), int(label)))
    if not found:
        raise UsageError(f"{path}: no structures for {split}" if split else f"{path}: no structures")
    return found


def read_backbone(path: Path, chain: str = "", longest: int | None = None) -> NDArray[numpy.float64]:
    """Coordinates of N, CA and C in Å, [residues, 3, xyz], of a PDB or mmCIF file, gzipped or not.

    The first model's first chain that has residues of a protein, or the named one; the first conformation. A residue
    without one of the three atoms is NaN: the file knows of it, not where it is. The CAs' mean is put at the origin,
    for the encoder sees where that is (`geometry.measure`), and a file's choice of it means nothing.
    longest: residues that are kept, from the start. Raises UsageError.
    """
    import numpy

    try:
        import gemmi
    except ModuleNotFoundError as error:
        raise UsageError(
            f"{path}: gemmi, which reads structures, is not installed; pip install 'smc-harness[protein]' would work"
        ) from error
    try:
        structure = gemmi.read_structure(str(path))
    except (OSError, ValueError, RuntimeError) as error:
        raise UsageError(f"{path}: cannot be read as PDB or mmCIF ({str(error).splitlines()[0]})") from error
    structure.setup_entities()
    chains = {part.name: part.get_polymer() for part in (structure[0] if len(structure) else ())}
    proteins = {name: residues for name, residues in chains.items() if any(residue.get_ca() for residue in residues)}
    if not proteins:
        raise UsageError(f"{path}: no chain of a protein (residues with an atom CA)")
    if chain and chain not in proteins:
        raise UsageError(f"{path}: no chain {chain!r} of a protein; it has {', '.join(proteins)}")
    residues = list(proteins[chain or next(iter(proteins))].first_conformer())[:longest]
    unknown = [numpy.nan] * 3
    found = numpy.array(
        [
            [atom.pos.tolist() if (atom := residue.find_atom(name, "*")) else unknown for name in ATOMS]
            for residue in residues
        ]
    )
    found[numpy.isnan(found).any(axis=(1, 2))] = numpy.nan
    if numpy.isnan(found).all():
        raise UsageError(f"{path}: no residue has all of {', '.join(ATOMS)}")
    centred: NDArray[numpy.float64] = found - numpy.nanmean(found[:, 1], axis=0)
    return centred
