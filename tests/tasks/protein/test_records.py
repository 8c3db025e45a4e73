"""Files of proteins: CSV and FASTA."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from smc_tasks.protein.records import Record, read

from smc_harness.errors import UsageError


def test_csv_and_fasta_read_alike(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,sequence,label\np1,MKV,0\np2,LLA,2\n")
    (tmp_path / "a.fasta").write_text("\n>p1 0\nMK\nV\n>p2 2\nLLA\n")
    with gzip.open(tmp_path / "a.fa.gz", "wt") as stream:
        stream.write(">p1 0\r\nMKV\r\n\r\n>p2 2\r\nLLA")
    expected = [Record("p1", "MKV", 0), Record("p2", "LLA", 2)]
    for name in ("a.csv", "a.fasta", "a.fa.gz"):
        assert read(tmp_path / name, "train", tmp_path) == expected


def test_a_csv_file_is_told_by_its_ending(tmp_path: Path) -> None:
    (tmp_path / "all.families.csv").write_text("sequence,label,set\nMK,1,test\nLL,0,train\n")
    assert read(tmp_path / "all.families.csv", "train", tmp_path) == [Record("all.families.csv:1", "LL", 0)]


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("a.csv", "sequence,label\nMK,cold\n", "protein 1: the label is 'cold'"),
        ("a.csv", "sequence,label\n,1\n", "protein 1: the sequence is empty"),
        ("a.csv", "sequence\nMK\n", "no column 'label'"),
        ("a.csv", "sequence,label,set\nMK,1,test\n", "no proteins for train"),
        ("a.fasta", ">p1\nMK\n", "protein 1: the label is 'p1'"),
        ("a.fasta", ">\nMK\n", "protein 1: the label is ''"),
        ("a.fasta", "MK\n>p1 1\nMK\n", "begins with 'MK'; a header"),
        ("a.fasta", ">p1 1\n>p2 1\nMK\n", "protein 1: the sequence is empty"),
        ("a.fasta.gz", ">p1 1\nMK\n", "cannot be read as FASTA"),
        ("a.fasta", "", "no proteins for train"),
    ],
)
def test_a_file_that_is_something_else_is_named(tmp_path: Path, name: str, text: str, reason: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UsageError) as caught:
        read(tmp_path / name, "train", tmp_path)
    assert str(tmp_path / name) in str(caught.value)
    assert reason in str(caught.value)
