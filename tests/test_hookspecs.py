from __future__ import annotations

import inspect
from types import FunctionType

import pytest

from smc_harness import hookspecs
from smc_harness.hookspecs import PRUNER_HOOKS, SESSION_HOOKS, TASK_HOOKS

SPECS: dict[str, FunctionType] = {
    name: function for name, function in vars(hookspecs).items() if hasattr(function, "smc_harness_spec")
}
OF_PLUGINS = sorted(TASK_HOOKS | PRUNER_HOOKS)


def test_every_hook_is_on_exactly_one_side() -> None:
    assert set(SPECS) == SESSION_HOOKS | TASK_HOOKS | PRUNER_HOOKS
    assert len(SPECS) == len(SESSION_HOOKS) + len(TASK_HOOKS) + len(PRUNER_HOOKS)


def test_the_four_hooks_of_the_product_are_there() -> None:
    assert {"prepare_model", "evaluate"} <= TASK_HOOKS
    assert {"compute_scores", "apply_mask"} <= PRUNER_HOOKS


@pytest.mark.parametrize("name", SPECS)
def test_every_hook_says_when_it_is_called(name: str) -> None:
    assert "When: " in (inspect.getdoc(SPECS[name]) or "")


@pytest.mark.parametrize("name", OF_PLUGINS)
def test_a_hook_of_tasks_and_pruners_answers_first_and_says_what_it_returns(name: str) -> None:
    text = inspect.getdoc(SPECS[name]) or ""
    assert SPECS[name].smc_harness_spec["firstresult"]  # type: ignore[attr-defined]
    assert "Returns: " in text
    assert "First result wins" in text


@pytest.mark.parametrize("name", sorted(SESSION_HOOKS))
def test_a_session_hook_is_heard_by_all_and_returns_nothing(name: str) -> None:
    assert not SPECS[name].smc_harness_spec["firstresult"]  # type: ignore[attr-defined]
    assert inspect.signature(SPECS[name]).return_annotation == "None"


@pytest.mark.parametrize("name", SPECS)
def test_arguments_are_plain_and_annotated(name: str) -> None:
    for parameter in inspect.signature(SPECS[name]).parameters.values():
        assert parameter.kind is parameter.POSITIONAL_OR_KEYWORD
        assert parameter.default is parameter.empty
        assert parameter.annotation is not parameter.empty


@pytest.mark.parametrize("name", OF_PLUGINS)
def test_hooks_of_tasks_and_pruners_are_given_a_context(name: str) -> None:
    assert "context" in inspect.signature(SPECS[name]).parameters


@pytest.mark.parametrize("name", SPECS)
def test_the_file_holds_no_logic(name: str) -> None:
    import ast

    (function,) = ast.parse(inspect.getsource(SPECS[name])).body
    assert isinstance(function, ast.FunctionDef)
    assert [type(statement) for statement in function.body] == [ast.Expr]
