"""Structures: the CSV that names them, and their files, PDB or mmCIF."""

from __future__ import annotations

import gzip
import random
import sys
from pathlib import Path

import numpy
import pytest
import torch
from smc_tasks.protein.structures import Entry, read_backbone, read_index

from smc_harness.errors import UsageError
from tests.backbones import atom_record, coil, write_pdb

COORDINATES = coil(7, random.Random(0)) + torch.tensor([11.0, -7.0, 3.0])
CENTRED = (COORDINATES - COORDINATES[:, 1].mean(0)).numpy()


def complaint(path: Path, *arguments: object) -> str:
    with pytest.raises(UsageError) as caught:
        read_backbone(path, *arguments)  # type: ignore[arg-type]
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)
    return str(caught.value).removeprefix(f"{path}: ")


def test_a_pdb_file_is_read_and_centred_to_its_three_digits(tmp_path: Path) -> None:
    pytest.importorskip("gemmi")
    found = read_backbone(write_pdb(tmp_path / "a.pdb", COORDINATES))
    assert found.shape == (7, 3, 3)
    numpy.testing.assert_allclose(found, CENTRED, atol=0.0011)
    assert abs(found[:, 1].mean(axis=0)).max() < 1e-9


def test_mmcif_and_gzip_say_the_same(tmp_path: Path) -> None:
    gemmi = pytest.importorskip("gemmi")
    plain = write_pdb(tmp_path / "a.pdb", COORDINATES)
    with gzip.open(tmp_path / "b.pdb.gz", "wb") as stream:
        stream.write(plain.read_bytes())
    structure = gemmi.read_structure(str(plain))
    structure.setup_entities()
    structure.make_mmcif_document().write_file(str(tmp_path / "c.cif"))
    for name in ("b.pdb.gz", "c.cif"):
        numpy.testing.assert_allclose(read_backbone(tmp_path / name), read_backbone(plain), atol=1e-9)


def test_the_first_residues_can_be_kept_alone(tmp_path: Path) -> None:
    pytest.importorskip("gemmi")
    path = write_pdb(tmp_path / "a.pdb", COORDINATES)
    whole, part = read_backbone(path), read_backbone(path, "", 3)
    numpy.testing.assert_allclose(part, whole[:3] - whole[:3, 1].mean(axis=0), atol=1e-9)


def test_a_residue_that_lacks_an_atom_is_not_known(tmp_path: Path) -> None:
    pytest.importorskip("gemmi")
    found = read_backbone(write_pdb(tmp_path / "a.pdb", COORDINATES, leave_out=[(2, "N"), (5, "C")]))
    assert numpy.isnan(found).any(axis=(1, 2)).tolist() == [False, False, True, False, False, True, False]
    assert numpy.isnan(found[[2, 5]]).all()


def test_the_first_chain_is_read_or_the_named_one_and_the_first_conformation_of_it(tmp_path: Path) -> None:
    pytest.importorskip("gemmi")
    text = write_pdb(tmp_path / "a.pdb", COORDINATES, chain="B").read_text()
    second = write_pdb(tmp_path / "b.pdb", COORDINATES.flip(0), chain="C").read_text()
    first, _, rest = text.partition("\n")
    other = atom_record(1, "N", "ALA", "B", 1, [9.0, 9.0, 9.0])
    both = [first[:16] + "A" + first[17:], other[:16] + "B" + other[17:], rest.replace("END\n", ""), second]
    path = tmp_path / "two.pdb"
    path.write_text("\n".join(both))
    numpy.testing.assert_allclose(read_backbone(path), CENTRED, atol=0.0011)
    numpy.testing.assert_allclose(read_backbone(path, "C"), CENTRED[::-1], atol=0.0011)
    assert complaint(path, "A") == "no chain 'A' of a protein; it has B, C"


def test_water_and_ligands_are_no_residues(tmp_path: Path) -> None:
    pytest.importorskip("gemmi")
    path = write_pdb(tmp_path / "a.pdb", COORDINATES)
    water = atom_record(90, "O", "HOH", "A", 90, [1.0, 2.0, 3.0]).replace("ATOM  ", "HETATM")
    path.write_text(path.read_text().replace("END\n", f"{water}\nEND\n"))
    assert len(read_backbone(path)) == 7


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no chain of a protein"),
        ("words\n", "no chain of a protein"),
        (atom_record(1, "P", " DA", "A", 1, [0.0, 0.0, 0.0]), "no chain of a protein"),
        (atom_record(1, "CA", "ALA", "A", 1, [0.0, 0.0, 0.0]), "no residue has all of N, CA, C"),
    ],
)
def test_a_file_without_a_backbone_is_named(tmp_path: Path, text: str, reason: str) -> None:
    pytest.importorskip("gemmi")
    (tmp_path / "a.pdb").write_text(text)
    assert complaint(tmp_path / "a.pdb").startswith(reason)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    pytest.importorskip("gemmi")
    (tmp_path / "a.cif").write_text("loop_\n_atom_site.id\n")
    assert complaint(tmp_path / "a.cif").startswith("cannot be read as PDB or mmCIF (")


def test_without_gemmi_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gemmi", None)
    said = complaint(tmp_path / "a.pdb")
    assert said == "gemmi, which reads structures, is not installed; pip install 'smc-harness[protein]' would work"


def test_an_index_names_files_labels_and_perhaps_more(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("file,label\nx/1.pdb,0\n2.cif,4\n")
    assert read_index(tmp_path / "a.csv", "train") == [
        Entry("x/1.pdb", "x/1.pdb", "", 0),
        Entry("2.cif", "2.cif", "", 4),
    ]
    (tmp_path / "b.csv").write_text("id,file,chain,label,set\np1,1.pdb,B,0,train\np2,2.pdb,,1,test\n")
    assert read_index(tmp_path / "b.csv", "train") == [Entry("p1", "1.pdb", "B", 0)]
    assert read_index(tmp_path / "b.csv", "test") == [Entry("p2", "2.pdb", "", 1)]
    assert len(read_index(tmp_path / "b.csv")) == 2


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("file\n1.pdb\n", "no column 'label'; expected file, label, and optionally id, chain and set"),
        ("file,label\n1.pdb,hot\n", "structure 1: the label is 'hot'; a whole number from 0 on would work"),
        ("file,label\n1.pdb,1\n,1\n", "structure 2: no file is named"),
        ("file,label,set\n1.pdb,1,test\n", "no structures for train"),
        ("", "cannot be read as CSV"),
    ],
)
def test_an_index_that_is_something_else_is_named(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(UsageError) as caught:
        read_index(tmp_path / "a.csv", "train")
    assert str(caught.value).startswith(f"{tmp_path / 'a.csv'}: {reason}")
