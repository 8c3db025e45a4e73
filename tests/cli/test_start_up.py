"""What a command that computes nothing does without: it answers while torch would still be importing."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

_WATCHED = """\
import importlib.metadata, json, sys
read, text = [], importlib.metadata.PathDistribution.read_text
def read_text(self, name):
    read.append((str(self._path), name))
    return text(self, name)
importlib.metadata.PathDistribution.read_text = read_text
from smc_harness.cli import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
print(json.dumps({"modules": sorted(sys.modules), "read": read}), file=sys.stderr)
"""

HEAVY = {"torch", "transformers", "numpy", "scipy", "pandas", "datasets", "safetensors", "rich", "jinja2", "langcodes"}
NEEDLESS = {"sqlite3", "ssl", "http.client", "multiprocessing", "asyncio", "xml.sax", "tomllib", "difflib"}
COMMANDS = {
    "help": ["--help"],
    "collect": ["--collect-only", "--pruners", "snip,gmp,magnitude-after", "--levels", "0.1,0.2,0.3"],
    "list": ["list", "pruners"],
}


@pytest.fixture(params=COMMANDS.values(), ids=COMMANDS)
def watched(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    """Which modules a command imported, and which files of metadata it read."""
    words = [sys.executable, "-c", _WATCHED, *request.param]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60)
    found: dict[str, Any] = json.loads(done.stderr.splitlines()[-1])
    return found


def test_no_library_is_imported_that_the_command_does_not_need(watched: dict[str, Any]) -> None:
    assert not (HEAVY | NEEDLESS) & set(watched["modules"])


def test_of_every_distribution_the_entry_points_are_read_once_and_nothing_else(watched: dict[str, Any]) -> None:
    read = Counter((path, name) for path, name in watched["read"])
    assert {name for _, name in read} == {"entry_points.txt"}
    assert set(read.values()) == {1}
