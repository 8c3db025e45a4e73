"""Checks of what a plugin declares: of pruners and tasks alike, and of plans."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING, fields
from itertools import pairwise
from typing import Any

from smc_harness.cells import show_level
from smc_harness.conformance.check import Check, Fault, NotApplicableError, NotReadyError
from smc_harness.conformance.subject import LEVELS, PrunerSubject, Subject
from smc_harness.declarations.plans import SAME_LEVEL, Prune, Stage, Train, default_plan
from smc_harness.discovery import parameters, rules
from smc_harness.errors import HarnessError

_FRACTIONS = tuple(k / 50 for k in range(51))


def declaration(subject: Subject) -> None:
    """Its hooks have the documented arguments, and its attributes the documented values."""
    rules.check(subject.plugin.hooks, subject.plugin.kind, subject.plugin.name)


def declared_parameters(subject: Subject) -> None:
    """Every parameter has a default, and `--set` reads that default back from its text."""
    plugin = subject.plugin
    if plugin.params is None:
        raise NotApplicableError("it has no parameters")
    for field in fields(plugin.params):
        if not field.init:
            continue
        if field.default is not MISSING:
            value = field.default
        elif field.default_factory is not MISSING:
            value = field.default_factory()
        else:
            raise Fault(f"parameter {field.name!r} has no default; {field.name}: {field.type} = ... would work")
        try:
            read = parameters.build(type(plugin.params), {field.name: _text(value)}, plugin.name)
        except HarnessError as error:
            raise Fault(f"its default {value!r} cannot be set again by --set: {error}") from error
        if getattr(read, field.name) != value:
            raise Fault(
                f"--set {plugin.name}.{field.name}={_text(value)} gives {getattr(read, field.name)!r}, not the default "
                f"{value!r}; another type for it would work"
            )


def _text(value: Any) -> str:
    if value is None:
        return "none"
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def plan(subject: PrunerSubject) -> None:
    """Its plans are made of valid stages, are the same whenever they are asked for, and end at the level."""
    if lacking := subject.plugin.lacking:
        raise NotReadyError(f"it needs {lacking[0]}; --set {subject.name}.{lacking[0]}=VALUE would work")
    for level in subject.levels((0.0, *LEVELS)):
        stages = subject.plan(level)
        if _form(stages) != _form(subject.plan(level)):
            raise Fault(f"plan({show_level(level)}) is another one each time; what follows from the level would work")
        reached = _reached(stages)
        if reached is None and level:
            raise Fault(f"plan({show_level(level)}) prunes nothing; a Prune, or Train(prune=...), would work")
        if reached is not None and abs(reached - level) > SAME_LEVEL:
            raise Fault(f"plan({show_level(level)}) ends at {show_level(reached)}; at the level itself would work")


def _form(stages: Sequence[Stage]) -> list[object]:
    """What tells two plans apart: schedules by their values, since two functions are never equal."""
    return [
        (stage.until, stage.dead, tuple(map(stage.prune, _FRACTIONS)))
        if isinstance(stage, Train) and stage.prune
        else stage
        for stage in stages
    ]


def _reached(stages: Any) -> float | None:
    """The last level that a plan prunes to."""
    found = None
    for stage in stages:
        if isinstance(stage, Prune):
            found = stage.level
        elif isinstance(stage, Train) and stage.prune is not None:
            found = stage.prune(stage.until)
    return found


def phase(subject: PrunerSubject) -> None:
    """Its plans do what its phase says: prune before, during or after the training, or in rounds of both."""
    level = subject.level(0.9)
    stages, default = subject.plan(level), default_plan(subject.plugin.phase, level)
    seen = _phase_of(list(stages))
    if seen != subject.plugin.phase and _form(stages) != _form(default):
        shown = ", ".join(type(stage).__name__ for stage in stages[:4]) + ", ..." * (len(stages) > 4)
        raise Fault(f"phase is {subject.plugin.phase!r} but the plan is {shown}; {seen!r} would work")


def _phase_of(stages: list[Stage]) -> str:
    if any(isinstance(stage, Train) and stage.prune is not None for stage in stages):
        return "during"
    prunings = [place for place, stage in enumerate(stages) if isinstance(stage, Prune)]
    first = prunings[0] if prunings else len(stages)
    if not any(isinstance(stage, Train) for stage in stages[:first]):
        return "before"
    between = [stages[one:two] for one, two in pairwise(prunings)]
    return "iterative" if any(Train in map(type, some) for some in between) else "after"


CHECKS = (Check("declaration", declaration), Check("parameters", declared_parameters, ("declaration",)))
PLANS = (Check("plan", plan, ("declaration",)), Check("phase", phase, ("plan",)))
