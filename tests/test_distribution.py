"""Our own sdist and wheel."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from smc_harness.scaffold.names import names
from smc_harness.scaffold.write import contents
from tests.distributions import build, with_the_harness
from tests.workshop import ROOT

JUNK = (
    ".venv/pyvenv.cfg",
    "venv/pyvenv.cfg",
    ".smc-harness/results.sqlite",
    "smc_harness/__pycache__/stale.cpython-311.pyc",
    "examples/smc-pruner-example/dist/old.whl",
    "examples/smc-pruner-example/.smc-harness/results.sqlite",
    "build/lib/old.py",
    "dist/old.whl",
    "results.json",
    "results.html",
    "junit.xml",
    "baseline.json",
    "notes.txt",
)


def test_what_lies_about_in_a_working_tree_is_in_no_sdist(tmp_path: Path) -> None:
    skipped = shutil.ignore_patterns(".git", ".*cache", ".venv", ".smc-harness", ".hypothesis")
    source = shutil.copytree(ROOT, tmp_path / "source", ignore=skipped)
    for name in JUNK:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text("junk")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(tmp_path / "dist")],
        cwd=source,
        check=True,
        capture_output=True,
        timeout=60,
    )
    (sdist,) = (tmp_path / "dist").iterdir()
    with tarfile.open(sdist) as archive:
        found = {name.partition("/")[2] for name in archive.getnames()}
    assert {"README.md", "LICENSE", "conftest.py", "tests/workshop.py", "plugins/smc_pruners/snip.py"} <= found
    assert found.isdisjoint(JUNK)
    top = {name.partition("/")[0] for name in found}
    assert top <= {*(path.name for path in ROOT.iterdir()), "PKG-INFO"} - {".git", ".venv", ".ci"}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_wheel_alone_runs_the_mini_tasks_from_an_empty_folder(tmp_path: Path) -> None:
    environment = with_the_harness(tmp_path)
    empty = tmp_path / "empty"
    empty.mkdir()
    where = environment.run("python", "-c", "import smc_harness; print(smc_harness.__file__)", folder=empty)
    assert Path(where.stdout.strip()).is_relative_to(environment.folder)

    done = environment.run("smc-harness", "--collect", "plugins/", folder=empty)
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr == (
        "smc-harness: --collect plugins: no such file or folder; "
        "leave --collect out for the installed pruners and the mini tasks\n"
    )

    words = ["--levels", "0.2", "--pruners", "magnitude-after,random-after", "--json", "run.json"]
    done = environment.run("smc-harness", *words, folder=empty)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((empty / "run.json").read_text())
    assert set(report["tasks"]) == {"arithmetic-mini", "commonsense-mini", "protein-mini", "translation-mini"}
    assert {cell["verdict"] for cell in report["cells"] if cell["pruner"] == "magnitude-after"} == {"pass"}
    assert {cell["verdict"] for cell in report["cells"] if cell["pruner"] == "random-after"} <= {"pass", "fail"}


@pytest.mark.slow
def test_the_wheel_holds_the_packages_their_data_and_the_templates(tmp_path: Path) -> None:
    with zipfile.ZipFile(build(ROOT, tmp_path / "dist")[1]) as archive:
        found = set(archive.namelist())
    assert {name.partition("/")[0] for name in found if ".dist-info/" not in name} == {
        *("smc_harness", "smc_pruners", "smc_tasks")
    }
    assert {"smc_harness/py.typed", "smc_harness/report/page/assets/page.html", "smc_tasks/published.csv"} <= found
    templates = [name for name in found if name.startswith("smc_harness/scaffold/templates/")]
    for kind in ("pruner", "task"):
        parts = ("common", kind)
        own = [name for name in templates if name.split("/")[3] in parts]
        assert len(own) == len(contents(names(kind, "mine")))
