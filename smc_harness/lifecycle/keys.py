"""Content keys of the stages of a plan. Used by the driver to know what is done, so torch is not imported."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import pluggy

from smc_harness.conversation.context import PrunerContext
from smc_harness.conversation.options import RunOptions
from smc_harness.conversation.relay import implements
from smc_harness.declarations.plans import Dead, Prune, Rewind, Stage, Train, default_plan
from smc_harness.discovery.loading import Plugin
from smc_harness.errors import PluginError
from smc_harness.store.identity import digest, environment


def plan_of(hook: pluggy.HookRelay | None, pruner: Plugin, level: float, context: PrunerContext) -> Sequence[Stage]:
    """The pruner's plan for a level, checked; by its phase where it has none. hook: None where that is so."""
    given = hook.plan(level=level, context=context) if hook is not None else None
    if given is not None and not isinstance(given, list | tuple):
        raise PluginError(f"{pruner.name}: plan gives {given!r}; a list of Train, Prune and Rewind stages would work")
    plan = list(given) if given is not None else list(default_plan(pruner.phase, level))
    for stage in plan:
        if not isinstance(stage, Train | Prune | Rewind):
            raise PluginError(f"{pruner.name}: {stage!r} in a plan; Train, Prune and Rewind stages would work")
    progress = 0.0
    for stage in plan:
        if isinstance(stage, Rewind):
            progress = stage.to
        elif isinstance(stage, Train):
            start = 0.0 if progress == 1.0 else progress
            if not start < stage.until <= 1.0:
                raise PluginError(
                    f"{pruner.name}: {stage!r} in a plan that has trained to {start}; until may be up to 1"
                )
            progress = stage.until
            if stage.prune is not None and not callable(stage.prune):
                raise PluginError(
                    f"{pruner.name}: {stage!r} in a plan; prune may be cubic(level), or a function like it"
                )
            if stage.dead not in (modes := get_args(Dead)):
                raise PluginError(f"{pruner.name}: {stage!r} in a plan; dead may be {', '.join(map(repr, modes))}")
    if not plan or isinstance(plan[-1], Rewind):
        raise PluginError(f"{pruner.name}: a plan must end in a Train or Prune stage; {plan!r} given")
    return plan


def root(task: Plugin, options: RunOptions, seed: int) -> str:
    """Key of the start weights: what the dense training depends on, the pruner and the scope left out."""
    return digest(
        "start",
        environment(),
        task.training_identity,
        options.data_identity(),
        options.session_seed,
        seed,
        options.threads,
        options.device,
        options.precision,
        options.wrappers,
    )


def chain(start: str, plan: Sequence[Stage], level: float | None, pruner: Plugin | None, scope: str) -> list[str]:
    """One key a stage.

    A training without mask and schedule is the dense one: no pruner enters its key, so that all share it.
    """
    who = (pruner.identity, scope) if pruner is not None else ()
    follows = implements(pruner, "update_mask")
    found, key, masked = [], start, False
    for stage in plan:
        match stage:
            case Train(until=until, prune=None) if not masked:
                key = digest(key, "train", until)
            case Train(until=until, prune=None, dead=dead):
                key = digest(key, "train", until, dead, *((who, level) if follows else ()))
            case Train(until=until, dead=dead):
                key = digest(key, "train", until, dead, "scheduled", who, level)
                masked = True
            case Prune(level=asked):
                key = digest(key, "prune", asked, who)
                masked = True
            case Rewind(to=to):
                key = digest(key, "rewind", to)
        found.append(key)
    return found


def cell(last: str, task: Plugin, options: RunOptions) -> str:
    """Key of the measurement taken after the stage with key `last`."""
    apart = options.evaluated_apart
    how = () if apart is None else ("evaluated in", apart)
    return digest(last, "measured", task.identity, options.data_identity(), options.scope, *how)


def under_way(stage: str) -> str:
    """Key of the checkpoint of a training stage that has not come to its end."""
    return digest(stage, "under way")
