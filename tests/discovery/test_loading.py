from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from smc_harness.discovery.loading import Locator, Plugin, import_module, load
from smc_harness.errors import PluginError, UsageError
from tests.workshop import ROOT, Workshop

PRUNER = """
from smc_harness import hookimpl
name, phase = "mine", "after"

@hookimpl
def compute_scores(model, context):
    return {}
"""
IN_CLASS = """
from dataclasses import dataclass
from smc_harness import hookimpl

@dataclass(frozen=True)
class Params:
    batches: int = 8

class Mine:
    "Prunes in its own way.\\n\\nAnd more."
    name, phase, params = "mine", "before", Params

    def __init__(self, {constructor}):
        self.got = {kept}

    @hookimpl
    def compute_scores(self, model, context):
        return {{}}

plugins = (Mine,)
"""


@pytest.fixture(autouse=True)
def clean_imports(tmp_path: Path) -> Iterator[None]:
    modules, paths = set(sys.modules), list(sys.path)
    yield
    for name in set(sys.modules) - modules:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]
    sys.path[:] = paths


def at(path: Path, name: str = "mine", **place: object) -> Locator:
    return Locator("pruner", name, path.name, path=str(path.resolve()), **place)  # type: ignore[arg-type]


def imported(path: Path) -> ModuleType:
    return import_module(at(path))


def reason(locator: Locator) -> str:
    with pytest.raises(PluginError) as caught:
        load(locator)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_module_is_a_plugin(workshop: Workshop) -> None:
    plugin = load(at(workshop.write("mine.py", PRUNER)))
    assert (plugin.kind, plugin.name, plugin.phase, plugin.params, plugin.default) == (
        "pruner",
        "mine",
        "after",
        None,
        True,
    )


def test_a_plugin_behind_an_entry_point_is_found_by_attribute() -> None:
    plugin = load(Locator("pruner", "magnitude-after", "entry point", "smc_pruners.magnitude", attribute="after"))
    assert plugin.phase == "after"


@pytest.mark.parametrize(
    ("constructor", "kept"), [("params", "params"), ("params=None", "params"), ("*given", "given[0]")]
)
def test_a_class_is_instantiated_with_its_parameters(workshop: Workshop, constructor: str, kept: str) -> None:
    path = workshop.write("mine.py", IN_CLASS.format(constructor=constructor, kept=kept))
    plugin = load(at(path, attribute="plugins", index=0), {"batches": "3"})
    assert plugin.hooks.got == plugin.params
    assert plugin.params.batches == 3


def test_a_class_without_parameters_is_instantiated_as_it_is(workshop: Workshop) -> None:
    text = IN_CLASS.format(constructor="speed=1", kept="speed").replace(', "before", Params', ', "before", None')
    plugin = load(at(workshop.write("mine.py", text), attribute="plugins", index=0))
    assert plugin.hooks.got == 1


def test_the_first_line_of_the_docstring_describes_a_plugin(workshop: Workshop) -> None:
    path = workshop.write("mine.py", IN_CLASS.format(constructor="params", kept="params"))
    assert load(at(path, attribute="plugins", index=0)).description == "Prunes in its own way."


def test_a_constructor_that_raises_is_reported(workshop: Workshop) -> None:
    text = IN_CLASS.format(constructor="params", kept="1 / 0")
    place = at(workshop.write("mine.py", text), attribute="plugins", index=0)
    assert reason(place) == "mine: Mine(params) failed: ZeroDivisionError: division by zero"


def test_a_variant_has_its_own_name_and_settings(workshop: Workshop) -> None:
    path = workshop.write("mine.py", IN_CLASS.format(constructor="params", kept="params"))
    plugin = load(at(path, attribute="plugins", index=0), {"batches": "3"}, "mine-3")
    assert (plugin.name, plugin.params.batches) == ("mine-3", 3)
    with pytest.raises(UsageError, match="mine-3 has no parameter 'batch'; did you mean 'batches'"):
        load(at(path, attribute="plugins", index=0), {"batch": "3"}, "mine-3")


def test_settings_change_the_identity_and_equal_ones_do_not(workshop: Workshop) -> None:
    path = workshop.write("mine.py", IN_CLASS.format(constructor="params", kept="params"))
    place = at(path, attribute="plugins", index=0)
    assert load(place, {"batches": "8"}).identity == load(place).identity != load(place, {"batches": "9"}).identity


def test_a_plugin_that_calls_itself_differently_from_its_entry_point_is_refused() -> None:
    found = reason(Locator("pruner", "snap", "entry point smc_pruners.grasp", "smc_pruners.grasp"))
    assert found == "entry point smc_pruners.grasp: it is published as 'snap' but calls itself 'grasp'"


def test_an_attribute_that_is_not_there_is_named() -> None:
    found = reason(Locator("pruner", "grasp", "entry point", "smc_pruners.grasp", attribute="best"))
    assert found == "entry point: module smc_pruners.grasp has no attribute 'best'"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import nowhere_to_be_found", "is 'nowhere_to_be_found' installed in this environment?"),
        ("from smc_harness import hookimp", "ImportError: cannot import name 'hookimp'"),
        ("x = 1\n1 / 0", "ZeroDivisionError: division by zero (mine.py, line 2)"),
        ("def f(:", "SyntaxError: invalid syntax (mine.py, line 1)"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("raise ValueError('one\\ntwo')", "ValueError: one two (mine.py, line 1)"),
        ("x = '\x00'", "source code string cannot contain null bytes"),
    ],
)
def test_what_an_import_raises_becomes_one_line_with_reason_and_place(
    workshop: Workshop, text: str, expected: str
) -> None:
    found = reason(at(workshop.write("mine.py", text)))
    assert found.startswith("mine.py: import failed: ")
    assert expected in found


def test_a_failed_import_leaves_no_module_behind(workshop: Workshop) -> None:
    path = workshop.write("half_made.py", "name = 1\nraise ValueError")
    reason(at(path))
    assert "half_made" not in sys.modules


@pytest.mark.parametrize("module", [random, json])
def test_a_file_called_like_a_standard_module_loads_beside_it(workshop: Workshop, module: ModuleType) -> None:
    found = imported(workshop.write(f"{module.__name__}.py", PRUNER))
    assert found.name == "mine"
    assert sys.modules[module.__name__] is module


def test_a_file_called_like_an_installed_module_that_is_not_imported_yet_does_not_take_its_place(
    workshop: Workshop,
) -> None:
    assert "wave" not in sys.modules
    imported(workshop.write("wave.py", PRUNER))
    import wave

    assert hasattr(wave, "Wave_read")


@pytest.mark.parametrize("name", ["my pruner.py", "2nd-pruner.py", "magnitude.v2.py", "Prünung.py", "class.py"])
def test_any_file_name_works(workshop: Workshop, name: str) -> None:
    module = imported(workshop.write(name, PRUNER))
    assert module.name == "mine"
    assert imported(workshop.folder / name) is module


def test_two_files_of_one_name_are_two_modules(workshop: Workshop) -> None:
    first = imported(workshop.write("a/same_name.py", PRUNER))
    second = imported(workshop.write("b/same_name.py", PRUNER))
    assert first is not second
    assert imported(workshop.folder / "a/same_name.py") is first
    assert imported(workshop.folder / "b/same_name.py") is second


def test_a_file_in_a_package_may_import_its_neighbours(workshop: Workshop) -> None:
    workshop.write("own_package/__init__.py", "")
    workshop.write("own_package/deep/__init__.py", "")
    workshop.write("own_package/_helper.py", "phase = 'after'")
    text = PRUNER.replace('name, phase = "mine", "after"', "from .._helper import phase\nname = 'mine'")
    module = imported(workshop.write("own_package/deep/pruner.py", text))
    assert (module.__name__, module.phase) == ("own_package.deep.pruner", "after")


def test_a_file_outside_packages_may_import_its_neighbours(workshop: Workshop) -> None:
    workshop.write("_own_helper.py", "phase = 'after'")
    text = PRUNER.replace('name, phase = "mine", "after"', "from _own_helper import phase\nname = 'mine'")
    assert imported(workshop.write("beside.py", text)).phase == "after"


def test_a_package_called_like_an_installed_one_is_refused_with_a_remedy(workshop: Workshop) -> None:
    workshop.write("json/__init__.py", "")
    found = reason(at(workshop.write("json/mine.py", PRUNER)))
    assert "another package named 'json' is installed; another folder name would work" in found


def test_a_package_itself_may_be_a_plugin(workshop: Workshop) -> None:
    assert imported(workshop.write("whole_package/__init__.py", PRUNER)).__name__ == "whole_package"


def test_what_a_plugin_prints_at_import_does_not_reach_standard_output(
    workshop: Workshop, capsys: pytest.CaptureFixture[str]
) -> None:
    imported(workshop.write("chatty.py", "print('hello')"))
    assert capsys.readouterr() == ("", "hello\n")


def test_loading_checks_the_rules(workshop: Workshop) -> None:
    path = workshop.write("mine.py", PRUNER.replace("compute_scores", "compute_score"))
    assert "unknown hook 'compute_score'" in reason(at(path))


def test_a_locator_travels_to_another_process(workshop: Workshop) -> None:
    import pickle

    place = pickle.loads(pickle.dumps(at(workshop.write("mine.py", PRUNER))))
    assert isinstance(load(place), Plugin)


def test_our_own_plugins_are_imported_without_torch() -> None:
    import subprocess

    code = (
        "import sys; from importlib.metadata import entry_points;"
        "[point.load() for kind in ('pruners', 'tasks') for point in entry_points(group=f'smc_harness.{kind}')];"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_a_pruner_declares_an_allocation_and_can_be_told_another(workshop: Workshop) -> None:
    path = workshop.write("mine.py", PRUNER + 'allocation = "erk"\n')
    assert str(load(at(path)).structure) == "erk"
    assert str(load(at(path), {"allocation": "uniform", "pattern": "4x4"}).structure) == "uniform 4x4"
    assert load(at(path)).identity != load(at(path), {"pattern": "4x4"}).identity


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('allocation = "sideways"', "mine: allocation=sideways given; global, uniform, erk, rows would work"),
        ("pattern = 24", "mine: pattern is 24; a text such as 'none' would work"),
        (
            "from dataclasses import dataclass\n@dataclass(frozen=True)\nclass params:\n    pattern: int = 1",
            "mine: every pruner has 'pattern'; another name for this parameter would work",
        ),
    ],
)
def test_a_declaration_of_structure_that_cannot_work_is_the_plugins_fault(workshop: Workshop, text, reason) -> None:
    with pytest.raises(PluginError, match=reason):
        load(at(workshop.write("mine.py", f"{PRUNER}\n{text}\n")))


def test_a_pattern_of_n_of_m_takes_the_place_of_a_declared_allocation(workshop: Workshop) -> None:
    path = workshop.write("mine.py", PRUNER + 'allocation = "erk"\n')
    assert str(load(at(path), {"pattern": "2:4"}).structure) == "2:4"
    with pytest.raises(UsageError, match="leave allocation=erk out"):
        load(at(path), {"pattern": "2:4", "allocation": "erk"})


READER = (
    PRUNER
    + """
from dataclasses import dataclass
from pathlib import Path

@dataclass(frozen=True)
class Params:
    path: Path | None = None
    strength: int = 1

params, needs = Params, ("path",)

def files(params):
    return [params.path]

def levels(params):
    return {levels}
"""
)


def reader(workshop: Workshop, path: str | Path | None = None, levels: str = "(0.5,)", **settings: str) -> Plugin:
    """A pruner that reads a file; its levels are an expression of its `params`."""
    told = settings | ({} if path is None else {"path": str(path)})
    # a module that was imported stays as it is: another text is another file
    file = f"reader_{len(list(workshop.folder.glob('*.py')))}.py"
    return load(at(workshop.write(file, READER.replace("{levels}", levels))), told)


def test_levels_may_follow_from_the_parameters(workshop: Workshop) -> None:
    assert reader(workshop, "a", "(len(params.path.name) / 10,)").levels == (0.1,)
    assert reader(workshop, "a", "None").levels == ()
    assert reader(workshop, "a", "None", pattern="2:4").levels == (0.5,)


@pytest.mark.parametrize(
    ("levels", "reason"),
    [
        ("(1.0,)", "mine: levels gives (1.0,); a tuple of numbers in [0, 1) would work"),
        ("0.5", "mine: levels gives 0.5; a tuple of numbers in [0, 1) would work"),
        ("1 / 0", "mine: levels failed: ZeroDivisionError: division by zero"),
    ],
)
def test_levels_that_do_not_follow_are_one_line(workshop: Workshop, levels: str, reason: str) -> None:
    with pytest.raises(PluginError) as caught:
        reader(workshop, "a", levels).levels  # noqa: B018
    assert str(caught.value) == reason


def test_the_content_of_its_files_is_part_of_a_pruners_identity_and_their_place_is_not(workshop: Workshop) -> None:
    first, copy, other = (workshop.write(f"{name}.txt", text) for name, text in (("a", "x"), ("b", "x"), ("c", "y")))
    place = reader(workshop, first).locator

    def identity(path: Path, **settings: str) -> str:
        return load(place, {"path": str(path), **settings}).identity

    before = identity(first)
    assert before == identity(copy)
    assert before not in (identity(other), identity(first, strength="2"))
    first.write_text("edited")
    assert before != identity(first)


def test_a_file_that_is_not_there_is_a_usage_error(workshop: Workshop) -> None:
    with pytest.raises(UsageError, match="^mine reads nowhere.txt: no such file$"):
        reader(workshop, "nowhere.txt").files  # noqa: B018
    path = workshop.write("mine.py", PRUNER + "files = 'weights'\n")
    with pytest.raises(PluginError, match="^mine: files gives 'weights'; a tuple of paths would work$"):
        load(at(path)).files  # noqa: B018


def test_what_a_pruner_needs_and_was_not_told_leaves_files_and_levels_open(workshop: Workshop) -> None:
    plugin = reader(workshop)
    assert (plugin.lacking, plugin.files, plugin.levels) == (("path",), (), ())
    assert reader(workshop, "a").lacking == ()


OF_PARAMETERS = """
from dataclasses import dataclass
from smc_harness import hookimpl

@dataclass(frozen=True)
class Params:
    late: bool = True
    other: str = "before"

name, params = "mine", Params

def phase(params):
    return "after" if params.late else params.other

@hookimpl
def compute_scores(model, context):
    return {}
"""


def test_a_phase_may_follow_from_the_parameters(workshop: Workshop) -> None:
    place = at(workshop.write("mine.py", OF_PARAMETERS))
    assert [load(place, settings).phase for settings in ({}, {"late": "false"})] == ["after", "before"]
    with pytest.raises(PluginError) as caught:
        load(place, {"late": "false", "other": "never"}).phase  # noqa: B018
    assert str(caught.value) == "mine: phase gives 'never'; one of before, after, during, iterative would work"
