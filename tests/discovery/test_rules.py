from __future__ import annotations

from dataclasses import make_dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from smc_harness import hookimpl
from smc_harness.discovery import rules
from smc_harness.errors import PluginError


@hookimpl
def compute_scores(model, context):
    return {}


@hookimpl
def nothing(context):
    return None


def pruner(**attributes: Any) -> SimpleNamespace:
    return SimpleNamespace(**{"phase": "after", "compute_scores": compute_scores} | attributes)


def task(**attributes: Any) -> SimpleNamespace:
    return SimpleNamespace(
        **{hook: hookimpl(specname=hook)(_plain(hook)) for hook in rules.REQUIRED["task"]} | attributes
    )


def _plain(hook: str) -> Any:
    arguments = {"collate": "examples", "compute_loss": "model, batch", "evaluate": "model, split"}.get(hook, "context")
    return eval(f"lambda {arguments}: None")


def refusal(plugin: Any, kind: str = "pruner") -> str:
    with pytest.raises(PluginError) as caught:
        rules.check(plugin, kind, "mine")
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("mine: ")
    return message


def hook(name: str, code: str, **options: Any) -> dict[str, Any]:
    """An attribute made of the source of a function."""
    names: dict[str, Any] = {}
    exec(code, names)
    return {name: hookimpl(**options)(names[name])}


def test_a_plugin_that_keeps_the_rules_is_accepted() -> None:
    rules.check(pruner(), "pruner", "mine")
    rules.check(task(), "task", "mine")


def test_any_subset_of_the_arguments_in_any_order_is_accepted() -> None:
    rules.check(pruner(**hook("apply_mask", "def apply_mask(level, model): pass")), "pruner", "mine")


def test_an_unknown_argument_is_named_with_those_that_exist() -> None:
    message = refusal(pruner(**hook("compute_scores", "def compute_scores(modle, context): pass")))
    assert "unknown argument 'modle'" in message
    assert "compute_scores(model, context)" in message


def test_an_argument_with_a_default_is_refused_with_a_remedy() -> None:
    message = refusal(pruner(**hook("compute_scores", "def compute_scores(model, context=None): pass")))
    assert "'context' must not have a default" in message
    assert message.endswith("write context without one")
    message = refusal(pruner(**hook("compute_scores", "def compute_scores(model, context, power=2): pass")))
    assert "'power' must not have a default" in message
    assert message.endswith("make it a field of `params` and read context.params")


@pytest.mark.parametrize("arguments", ["model, *, context", "*everything", "**everything"])
def test_keyword_only_and_starred_arguments_are_refused(arguments: str) -> None:
    message = refusal(pruner(**hook("compute_scores", f"def compute_scores({arguments}): pass")))
    assert "must be a plain one, as in compute_scores(model, context)" in message


def test_a_misspelt_hook_beside_a_good_one_is_refused_with_the_right_name() -> None:
    message = refusal(pruner(**hook("aply_mask", "def aply_mask(model): pass")))
    assert "unknown hook 'aply_mask'; did you mean 'apply_mask'?" in message


def test_a_hook_without_the_decorator_is_refused() -> None:
    def apply_mask(model, scores, level, context):
        return None

    assert "apply_mask() lacks the @hookimpl decorator" in refusal(pruner(apply_mask=apply_mask))


def test_a_helper_named_like_a_hook_of_another_side_is_left_alone() -> None:
    rules.check(pruner(report=lambda: None, evaluate=lambda: None), "pruner", "mine")


def test_a_hook_of_another_side_is_refused_and_says_whose_it_is() -> None:
    message = refusal(pruner(**hook("evaluate", "def evaluate(model, split): pass")))
    assert "evaluate() is a hook of task plugins, not of pruner plugins" in message


def test_a_session_plugin_may_wrap_a_hook_of_a_task_but_not_implement_it() -> None:
    wrapping = hook("evaluate", "def evaluate(model): return (yield)", wrapper=True)
    rules.check(SimpleNamespace(**wrapping), "session", "mine")
    message = refusal(SimpleNamespace(**hook("evaluate", "def evaluate(model): pass")), "session")
    assert "not of session plugins; add wrapper=True" in message


def test_a_pruner_may_not_wrap_a_hook_of_a_task() -> None:
    message = refusal(pruner(**hook("evaluate", "def evaluate(model): return (yield)", wrapper=True)))
    assert "evaluate() is a hook of task plugins" in message


@pytest.mark.parametrize("options", [{"wrapper": True}, {"hookwrapper": True}])
def test_a_wrapper_without_a_yield_is_refused(options: dict[str, bool]) -> None:
    message = refusal(SimpleNamespace(**hook("evaluate", "def evaluate(model): pass", **options)), "session")
    assert "wrapper without a yield" in message


def test_an_implementation_under_another_name_counts_for_its_hook() -> None:
    plugin = SimpleNamespace(phase="after", mine=hookimpl(specname="compute_scores")(lambda model: None))
    assert [found[:2] for found in rules.implementations(plugin)] == [("mine", "compute_scores")]
    rules.check(plugin, "pruner", "mine")


@pytest.mark.parametrize("missing", rules.REQUIRED["task"])
def test_a_task_without_a_required_hook_is_refused(missing: str) -> None:
    plugin = task()
    delattr(plugin, missing)
    assert f"a task must implement {missing}()" in refusal(plugin, "task")


def test_a_wrapper_does_not_count_as_an_implementation() -> None:
    plugin = SimpleNamespace(phase="after", **hook("compute_scores", "def compute_scores(): yield", wrapper=True))
    assert "must implement compute_scores() or apply_mask()" in refusal(plugin)


@pytest.mark.parametrize("phase", [None, "afterwards", ["after"], 3])
def test_an_unknown_phase_is_refused_with_those_that_exist(phase: object) -> None:
    assert "one of before, after, during, iterative would work" in refusal(pruner(phase=phase))


@pytest.mark.parametrize("levels", [0.5, (), (0.5, 1.0), ("0.5",), (-0.1,), (float("nan"),), "0.5", {0.5: 1}])
def test_levels_that_are_not_a_tuple_of_shares_are_refused(levels: object) -> None:
    assert "a tuple of numbers in [0, 1) would work" in refusal(pruner(levels=levels))


def test_levels_may_be_a_function() -> None:
    rules.check(pruner(levels=lambda params: (0.5,)), "pruner", "mine")


@pytest.mark.parametrize("needs", ["path", ("path", "paht"), 3])
def test_needs_that_are_no_parameters_are_refused(needs: object) -> None:
    params = make_dataclass("Params", [("path", str, "")], frozen=True)
    rules.check(pruner(params=params, needs=("path",)), "pruner", "mine")
    assert "a tuple of names of fields of `params` would work" in refusal(pruner(params=params, needs=needs))


def test_levels_of_its_own_and_what_it_prunes_are_accepted() -> None:
    rules.check(pruner(levels=(0, 0.5), prunes="linear"), "pruner", "mine")
    assert "'all' or 'linear' would work" in refusal(pruner(prunes="conv"))


class InClass:
    phase = "after"

    @hookimpl
    def compute_scores(self, model, context):
        return None


class StaticInClass:
    phase = "after"

    @staticmethod
    @hookimpl
    def compute_scores(model, context):
        return None


@pytest.mark.parametrize("plugin", [InClass, InClass(), StaticInClass(), pruner()])
def test_classes_instances_and_namespaces_are_understood(plugin: object) -> None:
    assert rules.kind_of(plugin, "mine") == "pruner"
    rules.check(plugin, "pruner", "mine")


def test_the_kind_follows_from_the_hooks() -> None:
    assert rules.kind_of(task(), "mine") == "task"
    assert rules.kind_of(SimpleNamespace(**hook("report", "def report(results): pass")), "mine") == "session"


def test_a_plugin_that_only_wraps_is_a_session_plugin() -> None:
    wrapping = hook("evaluate", "def evaluate(model): return (yield)", wrapper=True)
    assert rules.kind_of(SimpleNamespace(**wrapping), "mine") == "session"


def unkind(plugin: object) -> str:
    with pytest.raises(PluginError) as caught:
        rules.kind_of(plugin, "mine")
    return str(caught.value)


def test_a_plugin_of_two_kinds_is_told_to_split() -> None:
    assert "implements hooks of a task and of a pruner; split it" in unkind(
        pruner(**hook("evaluate", "def evaluate(model): pass"))
    )


def test_the_kind_of_a_plugin_without_hooks_is_refused_with_the_likely_reason() -> None:
    assert "it implements no hook" in unkind(SimpleNamespace())
    misspelt = SimpleNamespace(**hook("compute_score", "def compute_score(model): pass"))
    assert "unknown hook 'compute_score'; did you mean 'compute_scores'?" in unkind(misspelt)
    undecorated = SimpleNamespace(compute_scores=lambda model, context: None)
    assert "compute_scores() lacks the @hookimpl decorator" in unkind(undecorated)
