"""The GitHub action: what it runs is run here, as its steps say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.workshop import ROOT, Workshop

ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text())
STEPS: list[dict[str, Any]] = ACTION["runs"]["steps"]
ALL = STEPS + [
    step
    for page in (ROOT / "docs").glob("**/*.md")
    for block in re.findall(r"^```yaml\n(.*?)^```", page.read_text(), re.M | re.S)
    for job in (yaml.safe_load(block).get("jobs") or {}).values()
    for step in job["steps"]
]


def perform(name: str, workshop: Workshop, **inputs: str) -> subprocess.CompletedProcess[str]:
    """Run a step with these inputs, with this Python, in the workshop."""
    (step,) = [step for step in STEPS if step.get("name") == name]
    given = {key: about["default"] for key, about in ACTION["inputs"].items()} | inputs
    known = {f"${{{{ inputs.{key} }}}}": value for key, value in given.items()}
    variables = {key: known[value] for key, value in step["env"].items()}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    words = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
    environment = os.environ | {"GITHUB_ACTIONS": "", "PATH": path} | variables
    return subprocess.run(
        words, cwd=workshop.folder, env=environment, capture_output=True, text=True, timeout=240, check=False
    )


def test_the_action_runs_what_is_asked_and_leaves_the_reports_and_the_store(workshop: Workshop) -> None:
    workshop.toy()
    workshop.pruner("mine")
    done = perform("Run", workshop, arguments="--collect plugins --levels 0.2,0.99 -n 1", store="kept", reports="out")
    assert done.returncode == 0, done.stderr
    assert "1 passed, 1 failed" in done.stdout
    assert sorted(path.name for path in (workshop.folder / "out").iterdir()) == [
        "junit.xml",
        "results.json",
        "table.md",
    ]
    assert (workshop.folder / "kept/results.sqlite").is_file()


@pytest.mark.parametrize("name", ["arguments", "store", "reports"])
def test_no_input_is_read_by_a_shell(workshop: Workshop, name: str) -> None:
    perform("Run", workshop, **{"arguments": "--co"} | {name: "'$(touch here)`touch here`;touch here'\"\n"})
    assert not (workshop.folder / "here").exists()


def test_scripts_hold_no_expressions() -> None:
    assert not [step for step in STEPS if "${{" in step.get("run", "")]


def test_other_actions_are_pinned_by_commit() -> None:
    used = [step["uses"] for step in ALL if "uses" in step]
    assert len(used) >= 5
    for action in used:
        assert re.fullmatch(r"actions/[a-z/-]+@[0-9a-f]{40}|OWNER/smc-harness@COMMIT", action)
