"""What is told of a run beside its results: the versions that took part, and its tasks. Torch is not imported."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from smc_harness.store.identity import digest

if TYPE_CHECKING:
    from smc_harness.discovery.loading import Plugin
    from smc_harness.execution.tracks import Dense
    from smc_harness.verdict.margin import Margin


def versions() -> dict[str, str]:
    """By name, of what can move a number."""
    from smc_harness import __version__

    return {
        "smc-harness": __version__,
        "python": platform.python_version(),
        "torch": version("torch"),
        "transformers": version("transformers"),
    }


def about(task: Plugin, denses: Sequence[Dense], tolerance: Margin) -> dict[str, Any]:
    """The object of the `tasks` member of `--json`. denses: the task's dense models, one a seed. tolerance: its own.

    data: of each seed, a short digest of the files that the task reads; null where it reads none. By seed, since folds
    read other files. evaluation: of each seed, what --evaluate-in made of the dense outcomes.
    """
    measured = [dense.measurement for dense in denses if dense.measurement is not None]
    evaluation = {d.seed: d.measurement.agreement for d in denses if d.measurement and d.measurement.agreement}
    files = {dense.seed: digest(dense.options.files)[:8] for dense in denses if dense.options.files}
    return {
        "chance": task.declared("chance"),
        "dense": sum(m.value for m in measured) / len(measured) if measured else None,
        "dense_by_seed": {dense.seed: dense.measurement and dense.measurement.value for dense in denses},
        "floor": denses[0].floor,
        "published": task.declared("published"),
        "metric": task.declared("metric"),
        "unit": task.declared("unit"),
        "n": measured[0].n if measured else None,
        "higher_is_better": task.declared("higher_is_better", True),
        "tolerance": str(tolerance),
        "params": asdict(task.params) if task.params is not None else {},
        "data": files or None,
    } | ({"evaluation": evaluation} if evaluation else {})
