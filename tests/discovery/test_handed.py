"""Plugins as objects: what is handed over can be loaded again, by its file, as a worker will."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from smc_harness.discovery.catalogue import Catalogue
from smc_harness.discovery.handed import hand_over
from smc_harness.discovery.loading import load
from smc_harness.errors import UsageError
from smc_harness.hookspecs import hookimpl

SEVERAL = """
from smc_harness import hookimpl

class First:
    name, phase = "first", "after"

    @hookimpl
    def compute_scores(self, model, context):
        return {}

class Second(First):
    name = "second"

third = First()
third.name = "third"
plugins = (First, Second)
"""


@pytest.fixture
def several(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    file = tmp_path / "several_pruners.py"
    file.write_text(SEVERAL)
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("several_pruners")
    del sys.modules["several_pruners"]


def handed(*items: Any) -> Catalogue:
    catalogue = Catalogue()
    for item in items:
        hand_over(catalogue, item)
    return catalogue


def test_a_module_gives_what_its_plugins_are(several: ModuleType) -> None:
    assert list(handed(several).collected["pruner"]) == ["first", "second"]


@pytest.mark.parametrize(("attribute", "name"), [("First", "first"), ("Second", "second"), ("third", "third")])
def test_a_class_or_an_object_is_loaded_again_by_its_place(several: ModuleType, attribute: str, name: str) -> None:
    found = handed(getattr(several, attribute)).collected["pruner"]
    assert list(found) == [name]
    plugin = load(found[name])
    assert (plugin.name, plugin.phase, plugin.file) == (name, "after", Path(several.__file__ or "").resolve())


def test_the_same_one_may_be_handed_over_twice_and_another_of_its_name_may_not(several: ModuleType) -> None:
    assert list(handed(several.First, several.First).collected["pruner"]) == ["first"]
    several.fourth = type("Fourth", (several.First,), {"name": "first", "__module__": "several_pruners"})()
    with pytest.raises(UsageError, match="offers a pruner named 'first' already"):
        handed(several.First, several.fourth)


def test_what_workers_cannot_import_is_refused() -> None:
    class Within:
        name, phase = "within", "after"

        @hookimpl
        def compute_scores(self, model: Any, context: Any) -> Any:
            return {}

    with pytest.raises(UsageError, match="which workers cannot import; one at the top of a Python file would work"):
        handed(Within)
    with pytest.raises(UsageError, match="an object that a module has under a name, would work"):
        handed(Within())
    with pytest.raises(UsageError, match="which workers cannot import"):
        handed(ModuleType("made_up"))


def test_what_breaks_the_rules_is_refused_with_the_reason(several: ModuleType) -> None:
    several.odd = SimpleNamespace(name="odd")
    with pytest.raises(UsageError, match="odd: it implements no hook"):
        handed(several.odd)
