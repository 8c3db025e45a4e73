"""What the templates give, without running it; that is done in tests/examples and with the pages that show it."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.specifiers import SpecifierSet

from smc_harness import __version__
from smc_harness.scaffold.names import KINDS, names
from smc_harness.scaffold.write import compatible, contents, write
from tests.workshop import ROOT

both = pytest.mark.parametrize("kind", KINDS)


def workflows(kind: str) -> dict[str, dict[str, Any]]:
    files = contents(names(kind, "my-own")).items()
    return {Path(path).stem: yaml.safe_load(text) for path, text in files if path.endswith(".yml")}


@both
def test_the_metadata_publishes_the_plugin_under_its_name(kind: str) -> None:
    files = contents(names(kind, "my-own"))
    project = tomllib.loads(files["pyproject.toml"])["project"]
    assert project["name"] == f"smc-{kind}-my-own"
    assert project["entry-points"] == {f"smc_harness.{kind}s": {"my-own": f"smc_{kind}_my_own.{kind}"}}
    assert f"src/smc_{kind}_my_own/{kind}.py" in files
    assert files[f"src/smc_{kind}_my_own/py.typed"] == ""
    assert f"smc-harness{compatible(__version__)}" in project["dependencies"]


@both
def test_nothing_is_left_of_the_templates(kind: str) -> None:
    for path, text in contents(names(kind, "my-own")).items():
        assert not re.search(r"<<|>>|<%|%>|jinja", path + text), path
        assert text == "" or (text.endswith("\n") and not text.endswith("\n\n")), path


@both
def test_no_name_of_another_plugin_is_left_in_it(kind: str) -> None:
    one, other = (contents(names(kind, name)) for name in ("aaa", "bbb"))
    assert {path.replace("aaa", "bbb"): text.replace("aaa", "bbb") for path, text in one.items()} == other


@both
def test_what_is_written_is_formatted_and_has_no_faults(kind: str, tmp_path: Path) -> None:
    folder = write(names(kind, "my-own"), tmp_path)
    for words in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *words, "--no-cache", "."],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout


@both
def test_a_build_runs_the_tests_and_compares_with_the_baseline(kind: str) -> None:
    jobs = workflows(kind)["tests"]["jobs"]
    assert "python -m pytest" in [step.get("run") for step in jobs["tests"]["steps"]]
    (compared,) = [step["run"] for step in jobs["baseline"]["steps"] if "baseline.json" in step.get("run", "")]
    assert f"{compared}\n" in contents(names(kind, "my-own"))["README.md"]


@both
def test_a_release_is_published_by_a_trusted_job_that_does_nothing_else(kind: str) -> None:
    release = workflows(kind)["release"]
    build, publish = release["jobs"]["build"], release["jobs"]["publish"]
    assert [step["run"] for step in build["steps"] if "run" in step][-2:] == [
        "python -m build",
        "python -m twine check --strict dist/*",
    ]
    assert release["permissions"] == {}
    assert build["permissions"] == {"contents": "read"}
    assert (publish["environment"], publish["permissions"]) == ("pypi", {"id-token": "write"})
    assert [step["uses"].partition("@")[0] for step in publish["steps"]] == [
        "actions/download-artifact",
        "pypa/gh-action-pypi-publish",
    ]


@both
def test_actions_are_pinned_and_the_versions_are_those_of_our_own(kind: str) -> None:
    own = dict(re.findall(r"uses: ([a-z/-]+)@(\S+ # \S+)", (ROOT / "action.yml").read_text()))
    used = [
        action
        for path, text in contents(names(kind, "my-own")).items()
        if path.endswith(".yml")
        for action in re.findall(r"uses: (.+)", text)
    ]
    assert len(used) >= 8
    for action in used:
        name, version = action.split("@")
        assert re.fullmatch(r"[0-9a-f]{40} # v[0-9.]+", version), action
        assert own.get(name, version) == version


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("0.1.0", ">=0.1.0,<0.3"),
        ("0.9.3.dev4+g1234", ">=0.9.3,<0.11"),
        ("1.4", ">=1.4.0,<1.6"),
    ],
)
def test_the_harness_is_asked_for_up_to_the_first_version_that_may_lack_something(version: str, expected: str) -> None:
    assert compatible(version) == expected
    SpecifierSet(expected)
