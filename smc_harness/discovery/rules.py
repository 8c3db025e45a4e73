"""The rules that every hook implementation must keep, checked before a plugin is used.

pluggy itself would find some of these faults, but later, less precisely, and after having registered half a plugin.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from typing import Any

from smc_harness import deprecated, hookspecs
from smc_harness.discovery.parameters import names
from smc_harness.errors import PluginError, limitation, nearest

SIDES = {
    "session": hookspecs.SESSION_HOOKS,
    "task": hookspecs.TASK_HOOKS,
    "pruner": hookspecs.PRUNER_HOOKS,
}
ALL_HOOKS = frozenset().union(*SIDES.values())
REQUIRED = {
    "task": ("prepare_data", "prepare_model", "recipe", "collate", "compute_loss", "evaluate"),
    "pruner": (),
    "session": (),
}
PHASES = ("before", "after", "during", "iterative")


def implementations(plugin: Any) -> Iterator[tuple[str, str, Any, dict[str, Any]]]:
    """(attribute, hook name, function, marker options) of everything the plugin marks with @hookimpl."""
    for attribute in dir(plugin):
        if attribute.startswith("__"):
            continue  # Python's own, of which every object has dozens
        function = inspect.getattr_static(plugin, attribute, None)
        function = getattr(function, "__func__", function)
        options = getattr(function, f"{hookspecs.PROJECT}_impl", None)
        if inspect.isroutine(function) and isinstance(options, dict):
            yield attribute, options.get("specname") or attribute, getattr(plugin, attribute), options


def kind_of(plugin: Any, name: str) -> str:
    """`task`, `pruner` or `session`, by the hooks that the plugin implements. Raises PluginError if it is none."""
    deprecated.check_api(getattr(plugin, "api", None), name)  # what it was not written for may lack its hooks
    hooks = {hook for _, hook, _, options in implementations(plugin) if not _wraps(options)}
    kinds = [kind for kind, side in SIDES.items() if hooks & side]
    if len(kinds) > 1:
        raise PluginError(f"{name}: implements hooks of a {' and of a '.join(kinds)}; split it into one plugin each")
    if kinds:
        return kinds[0]
    if unknown := sorted(hooks - ALL_HOOKS):
        raise PluginError(f"{name}: unknown hook {unknown[0]!r}{nearest(unknown[0], ALL_HOOKS)}")
    if any(True for _ in implementations(plugin)):
        return "session"  # it does nothing but wrap
    _check_undecorated(plugin, ALL_HOOKS, name)
    raise PluginError(f"{name}: it implements no hook; see smc_harness/hookspecs.py")


def check(plugin: Any, kind: str, name: str) -> None:
    """Raise PluginError, saying what is wrong and what would work, unless `plugin` keeps every rule for its kind."""
    deprecated.check_api(getattr(plugin, "api", None), name)
    if deprecated.ATTRIBUTES:
        deprecated.warn_of_attributes(plugin, kind, name, _file_of(plugin))
    found: set[str] = set()
    for attribute, hook, function, options in implementations(plugin):
        _check_side(hook, kind, name, _wraps(options))
        _check_signature(attribute, hook, function, name, inspect.isclass(plugin))
        if not _wraps(options):
            found.add(hook)
        elif not inspect.isgeneratorfunction(function):
            raise PluginError(f"{name}: {attribute}() is a wrapper without a yield; `return (yield)` would work")
    _check_undecorated(plugin, SIDES[kind], name)
    if missing := [hook for hook in REQUIRED[kind] if hook not in found]:
        raise PluginError(f"{name}: a {kind} must implement {missing[0]}(); see smc_harness/hookspecs.py")
    _check_needs(plugin, name)
    if kind == "pruner":
        _check_pruner(plugin, name, found)
    if kind == "task" and hasattr(plugin, "folds") and "aggregate" in found:
        raise PluginError(
            f"{name}: `folds` are judged by the mean over their examples; a task without an aggregate() would work"
            + limitation("folds")
        )


def _file_of(plugin: Any) -> str:
    """Where a plugin was written; that of its first hook, for an object of no class of its own."""
    owner = plugin if inspect.ismodule(plugin) or inspect.isclass(plugin) else type(plugin)
    for item in (owner, *(function for _, _, function, _ in implementations(plugin))):
        try:
            return inspect.getfile(item)
        except TypeError:
            continue
    return "<unknown>"


def _wraps(options: dict[str, Any]) -> bool:
    return bool(options.get("wrapper") or options.get("hookwrapper"))


def _check_side(hook: str, kind: str, name: str, wrapper: bool) -> None:
    if hook not in ALL_HOOKS:
        raise PluginError(f"{name}: unknown hook {hook!r}{nearest(hook, ALL_HOOKS)}")
    if hook in SIDES[kind] or (kind == "session" and wrapper):
        return
    owner = next(side for side, hooks in SIDES.items() if hook in hooks)
    remedy = "add wrapper=True to wrap it" if kind == "session" else f"a {owner} plugin may implement it"
    raise PluginError(f"{name}: {hook}() is a hook of {owner} plugins, not of {kind} plugins; {remedy}")


def _check_signature(attribute: str, hook: str, function: Any, name: str, unbound: bool) -> None:
    allowed = list(inspect.signature(getattr(hookspecs, hook)).parameters)
    expected = f"{hook}({', '.join(allowed)})"
    # a class that is not instantiated yet still shows `self`
    for parameter in list(inspect.signature(function).parameters.values())[int(unbound) :]:
        given = f"{name}: {attribute}{inspect.signature(function)}"
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.KEYWORD_ONLY):
            raise PluginError(f"{given}: argument {parameter.name!r} must be a plain one, as in {expected}")
        if parameter.default is not parameter.empty:
            remedy = (
                f"write {parameter.name} without one"
                if parameter.name in allowed
                else "make it a field of `params` and read context.params"
            )
            raise PluginError(
                f"{given}: argument {parameter.name!r} must not have a default, which pluggy would never replace; "
                f"{remedy}"
            )
        if parameter.name not in allowed:
            raise PluginError(f"{given}: unknown argument {parameter.name!r}; any of {expected} would work")
        deprecated.warn_of_argument(name, hook, parameter.name, inspect.unwrap(getattr(function, "__func__", function)))


def _check_undecorated(plugin: Any, hooks: Iterable[str], name: str) -> None:
    for hook in sorted(hooks):
        function = inspect.getattr_static(plugin, hook, None)
        if inspect.isfunction(function) and not hasattr(function, f"{hookspecs.PROJECT}_impl"):
            raise PluginError(f"{name}: {hook}() lacks the @hookimpl decorator (from smc_harness import hookimpl)")


def _check_needs(plugin: Any, name: str) -> None:
    needs, known = getattr(plugin, "needs", ()), names(getattr(plugin, "params", None))
    if not isinstance(needs, list | tuple) or not known.issuperset(needs):
        raise PluginError(f"{name}: needs is {needs!r}; a tuple of names of fields of `params` would work")


def _check_pruner(plugin: Any, name: str, hooks: set[str]) -> None:
    if not hooks & {"compute_scores", "apply_mask"}:
        raise PluginError(f"{name}: a pruner must implement compute_scores() or apply_mask()")
    phase = getattr(plugin, "phase", None)
    if not callable(phase) and phase not in PHASES:
        raise PluginError(f"{name}: phase is {phase!r}; one of {', '.join(PHASES)} would work")
    levels = getattr(plugin, "levels", None)
    if levels is not None and not callable(levels) and not are_levels(levels):
        raise PluginError(f"{name}: levels is {levels!r}; a tuple of numbers in [0, 1) would work")
    if getattr(plugin, "prunes", "all") not in ("all", "linear"):
        raise PluginError(f"{name}: prunes is {plugin.prunes!r}; 'all' or 'linear' would work")


def are_levels(given: Any) -> bool:
    """Whether it is a tuple or list of levels, and not an empty one."""
    if not isinstance(given, list | tuple) or not given:
        return False
    return all(isinstance(level, int | float) and 0 <= level < 1 for level in given)
