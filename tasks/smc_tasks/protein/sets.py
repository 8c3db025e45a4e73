"""The paper's sets of proteins, and where their files lie under --data-dir."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from smc_tasks._sources import existing, named

if TYPE_CHECKING:
    from smc_tasks.protein.records import Record
    from smc_tasks.protein.stability import ProteinParams

SPLITS = ("train", "test")


@dataclass(frozen=True)
class ProteinSet:
    """folder: where `train.csv` and `test.csv` are looked for. split_file, sequences: HotProtein's pickle and folder,
    at the paths that its scripts have, taken where they are there and the CSV files are not."""

    title: str
    classes: int
    folder: str
    split_file: str | None = None
    sequences: str = ""

    def files(self, params: ProteinParams, data_dir: Path | None) -> dict[str, list[str]]:
        """Of each split, relative to --data-dir."""
        found = {}
        for split, text in zip(SPLITS, (params.train, params.test), strict=True):
            usual = f"{self.folder}/{split}.csv"
            candidates = [usual, f"{usual}.gz", *([self.split_file] if self.split_file else [])]
            found[split] = named(text, data_dir) or [existing(data_dir, candidates)]
        return found

    def all_files(self, params: ProteinParams, data_dir: Path | None) -> list[str]:
        """The same, and the FASTA files that a pickle names."""
        from smc_tasks.protein import hotprotein
        from smc_tasks.protein.records import PICKLE

        found: dict[str, None] = {}
        for split, files in self.files(params, data_dir).items():
            for file in files:
                found[file] = None
                if data_dir is not None and file.endswith(PICKLE) and (data_dir / file).is_file():
                    folder = params.sequences or self.sequences
                    found |= {f"{folder}/{name}": None for name in hotprotein.files(data_dir / file, split)}
        return list(found)

    def records(self, params: ProteinParams, data_dir: Path) -> dict[str, list[Record]]:
        """{"train": proteins, "test": proteins}. Raises UsageError."""
        from smc_tasks.protein.records import read

        folder = data_dir / (params.sequences or self.sequences)
        return {
            split: [record for file in files for record in read(data_dir / file, split, folder)]
            for split, files in self.files(params, data_dir).items()
        }


HP_S = ProteinSet("HotProtein HP-S", 5, "hotprotein/hp-s", "S/S_target_classification.pkl", "S/S_target")
HP_S2C2 = ProteinSet("HotProtein HP-S2C2", 2, "hotprotein/hp-s2c2", "d1/d1_1_classification.pkl", "d1/d1_fasta_clean")
MELTOME = ProteinSet("Meltome Atlas", 3, "meltome")
