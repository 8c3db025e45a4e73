"""The site is built without a warning."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import smc_harness
import smc_harness.sparsity
import smc_harness.testing
from tests.workshop import ROOT

COMMAND = ["--fail-on-warning", "--keep-going", "--nitpicky", "--conf-dir", "docs"]


def test_make_builds_it_as_the_test_does() -> None:
    assert " ".join(COMMAND) in (ROOT / "Makefile").read_text(encoding="utf-8")


@pytest.mark.parametrize("package", [smc_harness, smc_harness.sparsity, smc_harness.testing])
def test_every_public_name_has_its_place_in_the_reference(package: ModuleType) -> None:
    """Said by the page's source already, so that it does not take building the site to learn that one is missing."""
    page = (ROOT / "docs/reference/api.md").read_text(encoding="utf-8")
    for name in set(package.__all__) - {"__version__"}:
        assert re.search(rf":: {re.escape(package.__name__)}\.{name}$", page, re.MULTILINE), (
            f"{name} is not in the reference"
        )


@pytest.mark.slow
def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    built = subprocess.run(
        [
            sys.executable,
            "-m",
            "sphinx",
            "--quiet",
            *COMMAND,
            "-d",
            str(tmp_path / "read"),
            ".",
            str(tmp_path / "site"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (built.returncode, built.stderr) == (0, "")
    pages = {page.relative_to(tmp_path / "site").as_posix() for page in (tmp_path / "site").rglob("*.html")}
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        assert page.relative_to(ROOT).with_suffix(".html").as_posix() in pages
    api = (tmp_path / "site/docs/reference/api.html").read_text(encoding="utf-8")
    for package in (smc_harness, smc_harness.sparsity, smc_harness.testing):
        for name in set(package.__all__) - {"__version__"}:
            assert f'id="{package.__name__}.{name}"' in api, f"{name} is public and not in the reference"
