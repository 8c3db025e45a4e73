"""What a task is checked with: a pruner, and a session plugin that cuts trainings down to a few steps.

Both are plugins at the top of a module, so that workers load them by their place.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from smc_harness.hookspecs import hookimpl

if TYPE_CHECKING:
    from torch import Tensor, nn

    from smc_harness import PrunerContext, Recipe

STEPS = 4


@hookimpl
def _abs(model: nn.Module, context: PrunerContext) -> Mapping[str, Tensor]:
    return {name: parameter.detach().abs() for name, parameter in context.prunable(model)}


@hookimpl(wrapper=True)
def _few_steps() -> Generator[None, Recipe | None, Any]:
    recipe = yield
    if recipe is None or not hasattr(recipe, "steps"):
        return recipe  # which the harness will refuse
    selection = recipe.selection and replace(recipe.selection, every=STEPS)
    return replace(recipe, steps=min(recipe.steps, STEPS), selection=selection)


magnitude = SimpleNamespace(name="conformance-magnitude", phase="after", compute_scores=_abs)
shorter = SimpleNamespace(name="conformance-short", recipe=_few_steps)
