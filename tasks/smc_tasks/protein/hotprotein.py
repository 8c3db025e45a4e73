"""HotProtein's own files: a pickle that splits the names, and a folder with one FASTA file a protein.

The pickle holds a dict of four lists, `train_names`, `train_labels`, `test_names` and `test_labels`; the sequence of a
name is all but the first line of NAME.fasta. So the loaders of HotProtein and SMC-Bench read them.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from smc_harness.errors import UsageError, one_line


def files(path: Path, split: str) -> list[str]:
    """The FASTA files of a split, relative to the folder of sequences."""
    return [f"{name}.fasta" for name, _ in _entries(path, split)]


def rows(path: Path, split: str, folder: Path) -> Iterator[tuple[str, str, str]]:
    """Name, sequence and label of each protein of a split."""
    for name, label in _entries(path, split):
        try:
            text = (folder / f"{name}.fasta").read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{folder / name}.fasta: cannot be read ({error})") from error
        yield name, "".join(text.split("\n")[1:]), label


def _entries(path: Path, split: str) -> list[tuple[str, str]]:
    """Name and label of each protein of a split."""
    try:
        with path.open("rb") as stream:
            content = _Plain(stream).load()
        names = [str(name) for name in content[f"{split}_names"]]
        if paths := [name for name in names if Path(name).name != name]:
            raise UsageError(f"{paths[0]!r} is no name; names without a folder would work")
        return [(name, f"{float(label):g}") for name, label in zip(names, content[f"{split}_labels"], strict=True)]
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error
    except Exception as error:  # a torn pickle raises nearly anything
        raise UsageError(
            f"{path}: cannot be read ({one_line(error)}); a pickled dict with {split}_names and {split}_labels would "
            "work"
        ) from error


class _Plain(pickle.Unpickler):
    """Reads lists, texts, numbers and arrays of numpy; whatever else a pickle asks for could run code."""

    def find_class(self, module: str, name: str) -> Any:
        if module.partition(".")[0] == "numpy" and name in ("_reconstruct", "scalar", "ndarray", "dtype"):
            return super().find_class(module.replace("numpy.core", "numpy._core"), name)
        raise UsageError(f"holds {module}.{name}; a pickle of names and labels alone would work")
