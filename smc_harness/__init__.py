"""smc-harness: pytest for sparse neural networks.

Everything a plugin author needs is imported from here. Names are resolved on first use, so that
importing this package, or declaring a plugin, loads neither torch nor transformers.
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from smc_harness.hookspecs import hookimpl

if TYPE_CHECKING:
    from smc_harness.lifecycle.context import PrunerContext, TaskContext
    from smc_harness.lifecycle.plans import Prune, Rewind, Train, cubic, rungs
    from smc_harness.outcomes import Outcomes
    from smc_harness.training.recipe import Recipe, Selection

try:
    __version__ = version("smc-harness")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0.0.0"

_HOME = {
    "Outcomes": "smc_harness.outcomes",
    "Prune": "smc_harness.lifecycle.plans",
    "PrunerContext": "smc_harness.lifecycle.context",
    "Recipe": "smc_harness.training.recipe",
    "Rewind": "smc_harness.lifecycle.plans",
    "Selection": "smc_harness.training.recipe",
    "TaskContext": "smc_harness.lifecycle.context",
    "Train": "smc_harness.lifecycle.plans",
    "cubic": "smc_harness.lifecycle.plans",
    "rungs": "smc_harness.lifecycle.plans",
}

__all__ = [
    "Outcomes",
    "Prune",
    "PrunerContext",
    "Recipe",
    "Rewind",
    "Selection",
    "TaskContext",
    "Train",
    "__version__",
    "cubic",
    "hookimpl",
    "rungs",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
