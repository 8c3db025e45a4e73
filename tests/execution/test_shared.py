"""What workers import once for all of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from smc_harness.discovery.loading import Locator, Plugin
from smc_harness.execution import shared

TASK = """\
import json
from smc_harness import hookimpl
from own.model import build

def rarely():
    import rare

@hookimpl
def prepare_model(context):
    from heavy.models import Encoder, Head
    import heavy.numbers

@hookimpl(tryfirst=True)
def evaluate(model):
    from own import scores
"""


@pytest.fixture
def task(tmp_path: Path) -> Plugin:
    (tmp_path / "own").mkdir()
    for name, text in (("__init__", ""), ("task", TASK), ("model", "import torch"), ("scores", "")):
        (tmp_path / "own" / f"{name}.py").write_text(text)
    place = Locator("task", "t", "t", module="own.task")
    return Plugin("task", "t", SimpleNamespace(), place, file=tmp_path / "own" / "task.py")


def test_a_plugins_own_modules_and_what_its_hooks_import_are_shared(task: Plugin) -> None:
    found = shared.names([task, task])
    assert found[0] == shared.OPTIMIZERS
    assert {"own.task", "own.model", "own.scores"} <= set(found)
    assert {"heavy.models.Encoder", "heavy.models.Head", "heavy.numbers"} <= set(found)
    assert len(found) == len(set(found))


def test_what_only_other_functions_import_is_not(task: Plugin) -> None:
    assert not [name for name in shared.names([task]) if name.startswith(("rare", "json"))]


def test_a_collected_file_is_imported_by_those_who_run_it_alone(task: Plugin) -> None:
    place = replace(task.locator, module=None, path=str(task.file))
    assert shared.names([replace(task, locator=place)]) == [shared.OPTIMIZERS]
