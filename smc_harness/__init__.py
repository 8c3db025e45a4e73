"""smc-harness: pytest for sparse neural networks.

Everything a plugin author needs is imported from here. Names are resolved on first use, so that
importing this package, or declaring a plugin, loads neither torch nor transformers.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from smc_harness.deprecated import HOOK_API, NAMES, DeprecatedAPIWarning, warn_of_name
from smc_harness.hookspecs import hookimpl

if TYPE_CHECKING:
    from smc_harness.cells import Cell, CellResult
    from smc_harness.config import Config
    from smc_harness.conversation.context import PrunerContext, TaskContext
    from smc_harness.declarations.outcomes import Outcomes
    from smc_harness.declarations.plans import Prune, Rewind, Stage, Train, cubic, default_plan, rungs
    from smc_harness.declarations.pretrained import Pretrained
    from smc_harness.declarations.recipe import LinearWarmup, Recipe, Selection, StepDecay
    from smc_harness.session import Session

    __version__: str

_HOME = {
    "Cell": "smc_harness.cells",
    "CellResult": "smc_harness.cells",
    "Config": "smc_harness.config",
    "LinearWarmup": "smc_harness.declarations.recipe",
    "Outcomes": "smc_harness.declarations.outcomes",
    "Pretrained": "smc_harness.declarations.pretrained",
    "Prune": "smc_harness.declarations.plans",
    "PrunerContext": "smc_harness.conversation.context",
    "Recipe": "smc_harness.declarations.recipe",
    "Rewind": "smc_harness.declarations.plans",
    "Selection": "smc_harness.declarations.recipe",
    "Session": "smc_harness.session",
    "Stage": "smc_harness.declarations.plans",
    "StepDecay": "smc_harness.declarations.recipe",
    "TaskContext": "smc_harness.conversation.context",
    "Train": "smc_harness.declarations.plans",
    "cubic": "smc_harness.declarations.plans",
    "default_plan": "smc_harness.declarations.plans",
    "rungs": "smc_harness.declarations.plans",
}

__all__ = [
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


def _version() -> str:
    """Of the installed distribution; metadata take longer to read than all of this package to import."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("smc-harness")
    except PackageNotFoundError:  # a source tree that was never installed
        return "0.0.0"


if not TYPE_CHECKING:  # a type checker must see what is not there

    def __getattr__(name: str) -> Any:
        if name == "__version__":
            return _version()
        if name in NAMES:
            name = warn_of_name(name)
        if name in _HOME:
            return getattr(import_module(_HOME[name]), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
