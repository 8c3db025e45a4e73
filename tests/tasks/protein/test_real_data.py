"""What holds on real proteins: ThermoProt's, in four classes, which lie in SMC_DATA_DIR where there are any."""

from __future__ import annotations

import csv
import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from smc_tasks.protein.records import read

FOLDER = Path(os.environ.get("SMC_DATA_DIR", "nowhere")) / "protein_thermoprot"
FILE = FOLDER / "thermoprot_4class.csv.gz"

pytestmark = pytest.mark.skipif(not FILE.exists(), reason="SMC_DATA_DIR is not set")


def test_real_proteins_read_alike_as_csv_and_as_fasta(tmp_path: Path) -> None:
    with gzip.open(FILE, "rt") as stream:
        rows = [row for row in csv.DictReader(stream) if row["set"] == "test"]
    (tmp_path / "test.fasta").write_text(
        "".join(f">{row['fasta_header']} {row['label']}\n{row['sequence']}\n" for row in rows)
    )
    table, listed = read(FILE, "test", tmp_path), read(tmp_path / "test.fasta", "test", tmp_path)
    assert len(table) == 3180
    assert [(record.sequence, record.label) for record in table] == [(row.sequence, row.label) for row in listed]


@pytest.mark.slow
@pytest.mark.parametrize("task", ["hp-s-esm1b", "hp-s-tape"])
def test_a_small_model_from_scratch_learns_and_is_pruned(command: Callable[..., Any], task: str) -> None:
    settings = {
        "train": FILE.name, "test": FILE.name, "classes": 4, "model": "scratch", "longest": 64, "batch_size": 32,
        "steps": 60, "schedule": "linear", "warmup": 5, "learning_rate": 0.003, "head_learning_rate": 0.003,
    }  # fmt: skip
    words = [word for name, value in settings.items() for word in ("--set", f"{task}.{name}={value}")]
    plan = ["--tasks", task, "--pruners", "magnitude-after,random-after", "--levels", "0.5", "--data-dir", str(FOLDER)]
    done = command(*plan, *words, "--json", "out.json", "-n", "0")
    assert done.code == 0, done.err
    report = json.loads(Path("out.json").read_text())
    dense = report["tasks"][task]["dense"]
    standard_error = (dense * (1 - dense) / report["tasks"][task]["n"]) ** 0.5
    assert dense > 0.25 + 3 * standard_error
    assert [cell["realised"] for cell in report["cells"]] == [0.5, 0.5]
    assert {cell["verdict"] for cell in report["cells"]} <= {"pass", "fail"}
