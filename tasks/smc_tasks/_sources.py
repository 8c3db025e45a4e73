"""Where the rows of a dataset come from: files under --data-dir where that is given, else the hub at a fixed commit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smc_harness.errors import UsageError

if TYPE_CHECKING:
    from smc_harness import TaskContext

Row = Mapping[str, Any]


@dataclass(frozen=True)
class HubDataset:
    """A dataset of the hub. config: its subset. revision: the commit. split: its name there.

    file: the only one of its files that is read, where a whole split would be too much.
    """

    name: str
    config: str | None
    revision: str
    split: str
    file: str | None = None

    def rows(self) -> Iterable[Row]:
        """Raises UsageError where it can neither be fetched nor found in the cache of `datasets`."""
        from datasets import load_dataset

        try:
            part = {"data_files": self.file} if self.file is not None else {}
            found: Iterable[Row] = load_dataset(
                self.name, self.config, split=self.split, revision=self.revision, **part
            )
        except (OSError, ValueError) as error:
            raise UsageError(
                f"{self.name} at {self.revision[:7]} is neither in the cache of datasets nor on a hub that can be "
                f"reached; --data-dir DIR with its files would work ({str(error).splitlines()[0]})"
            ) from error
        return found


def existing(data_dir: Path | None, candidates: Sequence[str]) -> str:
    """The first of the candidates (paths relative to `data_dir`) that is there, else the first candidate."""
    if data_dir is not None:
        for candidate in candidates:
            if (data_dir / candidate).is_file():
                return candidate
    return candidates[0]


def plain_or_gzipped(data_dir: Path | None, name: str) -> str:
    """The name, or with .gz after it, whichever is there."""
    return existing(data_dir, [name, f"{name}.gz"])


def named(text: str, data_dir: Path | None) -> list[str]:
    """The files of a parameter, several separated by commas, each plain or gzipped."""
    return [plain_or_gzipped(data_dir, name.strip()) for name in text.split(",") if name.strip()]


def rows(context: TaskContext, files: Sequence[str], hub: Sequence[HubDataset]) -> list[Row]:
    """The rows of the files under --data-dir, one after the other; without --data-dir, those of the hub."""
    if context.data_dir is None:
        return [row for dataset in hub for row in dataset.rows()]
    return [row for file in files for row in json_lines(context.data_dir / file)]


def json_lines(path: Path) -> list[Row]:
    """The objects of a file with one JSON object a line, gzipped or not. Raises UsageError for anything else."""
    import pandas

    try:
        # no conversion: an answer "1" stays a text
        frame = pandas.read_json(path, lines=True, dtype=False)
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be read as JSON lines ({str(error).splitlines()[0]})") from error
    found: list[Row] = frame.to_dict("records")
    return found
