"""The example distribution: a scaffold with another pruner in it, which works where it is installed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from smc_harness.scaffold.names import names
from smc_harness.scaffold.write import contents
from tests.distributions import build, with_the_harness
from tests.workshop import ROOT

EXAMPLE = ROOT / "examples/smc-pruner-example"
EDITED = {"src/smc_pruner_example/pruner.py", "tests/test_pruner.py"}
IGNORED = {"__pycache__", "dist", ".smc-harness", ".pytest_cache", ".venv", ".ruff_cache", ".mypy_cache"}


def test_only_the_pruner_and_its_tests_differ_from_a_fresh_scaffold() -> None:
    files = [path for path in EXAMPLE.rglob("*") if path.is_file()]
    found = {
        path.relative_to(EXAMPLE).as_posix(): path.read_text(encoding="utf-8")
        for path in files
        if not IGNORED & set(path.relative_to(EXAMPLE).parts)
    }
    fresh = contents(names("pruner", "example"))
    assert found.keys() == fresh.keys()
    assert {path for path, text in found.items() if text != fresh[path]} == EDITED


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_its_wheel_is_found_by_name_and_runs_from_an_empty_folder(tmp_path: Path) -> None:
    environment = with_the_harness(tmp_path / "harness")
    environment.install(build(EXAMPLE, tmp_path / "dist")[1])
    empty = tmp_path / "empty"
    empty.mkdir()
    listed = environment.run("smc-harness", "list", "pruners", "--json", folder=empty)
    sources = {row["name"]: row["source"] for row in json.loads(listed.stdout)["pruners"]}
    assert sources["example"] == "entry point smc_pruner_example.pruner"
    words = ["--pruners", "example", "--tasks", "protein-mini", "--levels", "0.2,0.488,0.98", "--json", "run.json"]
    done = environment.run("smc-harness", *words, folder=empty)
    assert done.returncode == 0, done.stdout + done.stderr
    cells = json.loads((empty / "run.json").read_text())["cells"]
    assert [cell["verdict"] for cell in cells] == ["pass", "pass", "fail"]
    assert [cell["realised"] for cell in cells] == pytest.approx([0.2, 0.488, 0.98], abs=1e-4)
