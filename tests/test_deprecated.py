"""What goes away is told once, at the line of the plugin that uses it; what a plugin was written for is checked."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable

import pytest

import smc_harness
from smc_harness import DeprecatedAPIWarning, deprecated, hookspecs
from smc_harness.deprecated import HOOK_API, Deprecation
from tests.workshop import Ran, Workshop

SCORES = """\
from smc_harness import hookimpl
{first}
name, phase, description = "mine", "after", "magnitude"
{declared}

@hookimpl
def compute_scores(model, context):
    return {{n: p.detach().abs() for n, p in context.prunable(model)}}
"""


@pytest.fixture
def collected(command: Callable[..., Ran], workshop: Workshop) -> Callable[..., Ran]:
    """`--collect-only` of a pruner, with the warnings as warnings."""

    def run(first: str = "", declared: str = "") -> Ran:
        file = workshop.write("mine.py", SCORES.format(first=first, declared=declared))
        workshop.toy()
        return command("--collect", str(file), "--collect", "plugins", "--collect-only", "--strict-plugins")

    deprecated._told.clear()
    return run


def told(recorded: pytest.WarningsRecorder) -> list[tuple[str, int, str]]:
    return [(item.filename.rpartition("/")[2], item.lineno, str(item.message)) for item in recorded]


def test_a_name_that_goes_away_works_and_is_told_at_the_import(
    collected: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(deprecated.NAMES, "geometric", Deprecation("rungs", "0.3"))
    with pytest.warns(DeprecatedAPIWarning) as recorded:
        ran = collected(first="from smc_harness import geometric")
    assert ran.code == 0, ran.err
    assert told(recorded) == [("mine.py", 2, "smc_harness.geometric goes away in 0.3; smc_harness.rungs would work")]


def test_an_attribute_that_goes_away_is_told_in_the_file_and_once(
    collected: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(deprecated.ATTRIBUTES, ("pruner", "price"), Deprecation("`cost`", "0.3"))
    with pytest.warns(DeprecatedAPIWarning) as recorded:
        ran = collected(declared='price = "1 training"')
    assert ran.code == 0, ran.err
    assert told(recorded) == [("mine.py", 1, "mine: attribute 'price' goes away in 0.3; `cost` would work")]


def test_an_argument_that_goes_away_is_told_at_the_hook(
    collected: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(deprecated.ARGUMENTS, ("compute_scores", "model"), Deprecation("`network`", "0.3"))
    with pytest.warns(DeprecatedAPIWarning) as recorded:
        ran = collected()
    assert ran.code == 0, ran.err
    (line,) = {line for file, line, _ in told(recorded) if file == "mine.py"}
    assert line == 1 + SCORES.splitlines().index("@hookimpl")
    assert "mine: argument 'model' of compute_scores() goes away in 0.3; `network` would work" in str(
        recorded[0].message
    )


def test_nothing_is_told_of_a_plugin_that_uses_nothing_of_it(collected: Callable[..., Ran]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert collected(declared='api = "1.0"').code == 0


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("'9.0'", "it was written for hook API 9.0, this is 1.0; pip install --upgrade smc-harness would work"),
        ("'1.7'", "it was written for hook API 1.7, this is 1.0; pip install --upgrade smc-harness would work"),
        (
            "'0.9'",
            "it was written for hook API 0.9, this is 1.0, which lacks some of it; a newer release of the plugin",
        ),
        ("1.0", "api is 1.0; the version that it was written for, '1.0', would work"),
        ("'one'", "api is 'one'; the version that it was written for, '1.0', would work"),
    ],
)
def test_a_plugin_written_for_another_contract_is_refused_with_the_remedy(
    collected: Callable[..., Ran], wanted: str, message: str
) -> None:
    ran = collected(declared=f"api = {wanted}")
    assert ran.code == 7
    assert f"mine: {message}" in ran.err + ran.out


def test_one_for_a_newer_contract_is_not_blamed_for_hooks_that_are_not_known_yet(collected: Callable[..., Ran]) -> None:
    ran = collected(declared='api = "1.7"\n\n@hookimpl\ndef quantize(model):\n    return None\n')
    assert "written for hook API 1.7" in ran.err + ran.out
    assert "unknown hook" not in ran.err + ran.out


CONTRACT = {
    "addoption": ["parser"],
    "configure": ["config"],
    "modify_cells": ["cells", "config"],
    "session_started": ["session"],
    "cell_started": ["cell"],
    "data_files": ["context"],
    "pretrained": ["context"],
    "prepare_data": ["context"],
    "prepare_model": ["context"],
    "prunable": ["model", "context"],
    "recipe": ["context"],
    "collate": ["examples", "context"],
    "compute_loss": ["model", "batch", "context"],
    "blocks": ["model", "context"],
    "plan": ["level", "context"],
    "compute_scores": ["model", "context"],
    "apply_mask": ["model", "scores", "level", "context"],
    "update_mask": ["model", "mask", "context"],
    "evaluate": ["model", "split", "context"],
    "aggregate": ["outcomes", "context"],
    "cell_finished": ["result"],
    "session_finished": ["session", "results"],
    "report": ["results", "config"],
}
"""Hook API 1.0. Whoever changes this changes HOOK_API as well."""


def test_the_contract_is_that_of_its_version() -> None:
    specs = {name: spec for name, spec in vars(hookspecs).items() if hasattr(spec, "smc_harness_spec")}
    assert {name: list(inspect.signature(spec).parameters) for name, spec in specs.items()} == CONTRACT
    assert HOOK_API == (1, 0)


PUBLIC = [
    "HOOK_API",
    "Cell",
    "CellResult",
    "Config",
    "DeprecatedAPIWarning",
    "LinearWarmup",
    "Outcomes",
    "Pretrained",
    "Prune",
    "PrunerContext",
    "Recipe",
    "Rewind",
    "Selection",
    "Session",
    "Stage",
    "StepDecay",
    "TaskContext",
    "Train",
    "__version__",
    "cubic",
    "default_plan",
    "hookimpl",
    "rungs",
]


def test_what_is_public_is_what_is_promised() -> None:
    assert smc_harness.__all__ == PUBLIC
    assert all(hasattr(smc_harness, name) for name in smc_harness.__all__)
