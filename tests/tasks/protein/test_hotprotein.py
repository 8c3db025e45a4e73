"""HotProtein's own files: a pickle of names and labels, and one FASTA file a protein."""

from __future__ import annotations

import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy
import pytest
from smc_tasks.protein.records import Record, read
from smc_tasks.protein.sets import HP_S
from smc_tasks.protein.stability import ProteinParams, hp_s

from smc_harness.errors import UsageError

SPLITS = {"train_names": ["a", "b"], "train_labels": [0, 4], "test_names": ["c"], "test_labels": ["2"]}


def write(folder: Path, content: Any = SPLITS) -> Path:
    sequences = folder / "S" / "S_target"
    sequences.mkdir(parents=True)
    for name, text in {"a": "MK\nV", "b": "LL", "c": "GG\n"}.items():
        (sequences / f"{name}.fasta").write_text(f">{name} of something 7\n{text}\n")
    path = folder / "S" / "S_target_classification.pkl"
    path.write_bytes(pickle.dumps(content))
    return path


def test_names_and_labels_are_in_the_pickle_and_sequences_in_the_folder(tmp_path: Path) -> None:
    path = write(tmp_path)
    folder = tmp_path / "S" / "S_target"
    assert read(path, "train", folder) == [Record("a", "MKV", 0), Record("b", "LL", 4)]
    assert read(path, "test", folder) == [Record("c", "GG", 2)]


@pytest.mark.parametrize("labels", [numpy.array([0, 4]), [numpy.int64(0), numpy.float32(4)], [0.0, 4.0], ("0", "4")])
def test_labels_are_numbers_of_any_kind(tmp_path: Path, labels: Any) -> None:
    path = write(tmp_path, SPLITS | {"train_labels": labels})
    assert [record.label for record in read(path, "train", tmp_path / "S" / "S_target")] == [0, 4]


def test_its_files_are_found_where_its_scripts_have_them(tmp_path: Path) -> None:
    write(tmp_path)
    context = SimpleNamespace(params=ProteinParams(longest=2), data_dir=tmp_path)
    assert hp_s.data_files(context) == [
        "S/S_target_classification.pkl", "S/S_target/a.fasta", "S/S_target/b.fasta", "S/S_target/c.fasta",
    ]  # fmt: skip
    splits = hp_s.prepare_data(context)
    assert [(protein.id, protein.label, len(protein.tokens)) for protein in splits["train"]] == [
        ("a", 0, 4),
        ("b", 4, 4),
    ]


def test_a_csv_file_goes_before_it(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "hotprotein" / "hp-s").mkdir(parents=True)
    (tmp_path / "hotprotein" / "hp-s" / "train.csv").write_text("sequence,label\nMK,1\n")
    assert HP_S.files(ProteinParams(), tmp_path) == {
        "train": ["hotprotein/hp-s/train.csv"],
        "test": ["S/S_target_classification.pkl"],
    }


class Malice:
    def __reduce__(self) -> Any:
        return Path.touch, (Path("touched"),)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (Malice(), r"holds pathlib\.Path\.?\w*; a pickle of names and labels alone would work"),
        ({"train_names": ["a"]}, r"KeyError: 'train_labels'\); a pickled dict with train_names and train_labels"),
        (SPLITS | {"train_labels": [0]}, r"ValueError: zip\(\) .*\); a pickled dict"),
        (SPLITS | {"train_labels": [0, 1.5]}, r"protein 2: the label is '1.5'"),
        (SPLITS | {"train_names": ["a", "z"]}, r"S_target/z.fasta: cannot be read"),
    ],
)
def test_what_it_cannot_be_is_named_and_never_run(tmp_path: Path, content: Any, reason: str) -> None:
    path = write(tmp_path, content)
    with pytest.raises(UsageError, match=reason):
        read(path, "train", tmp_path / "S" / "S_target")
    assert not Path("touched").exists()
