"""`--dry-run`: what a run would compute, task by task, and how long that may take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

from smc_harness.cells import counted, visible
from smc_harness.config import Config
from smc_harness.report.json_file import SCHEMA, write
from smc_harness.report.terminal import new_console

if TYPE_CHECKING:
    from smc_harness.execution.forecast import Forecast

_COLUMNS = ("task", "trajectories", "cells", "in the store", "dense trainings", "further trainings", "worker hours")


def show(plan: Sequence[Forecast], config: Config) -> None:
    """Print a table; with --json the object `{schema, plan}` as well, and instead where it goes to standard output."""
    if config.options.json is not None:
        rows = [asdict(found) | {"hours": found.hours} for found in plan]
        write(config.options.json, {"schema": SCHEMA, "plan": rows}, config.stash["stdout"])
    console = new_console(config.options)
    table = Table(box=box.SIMPLE, pad_edge=False)
    for name in _COLUMNS:
        table.add_column(name, justify="left" if name == "task" else "right")
    for found in plan:
        table.add_row(visible(found.task), *_figures(found))
    console.print(table)
    for found in plan:
        for pruner, fault in found.faults.items():
            console.print(visible(f"{found.task}::{pruner}: {fault}"), markup=False)
    console.print(_closing(plan), markup=False)


def _figures(found: Forecast) -> list[str]:
    hours = "?" if found.hours is None else f"{found.hours:.1f}"
    return [str(n) for n in (found.trajectories, found.cells, found.known, found.dense, found.trainings)] + [hours]


def _closing(plan: Sequence[Forecast]) -> str:
    dense, further = sum(found.dense for found in plan), sum(found.trainings for found in plan)
    total = f"{counted(dense, 'dense training')} and at most {further} further ones"
    hours = [found.hours for found in plan if found.hours is not None]
    about = f", {sum(hours):.1f} hours of one worker at most" if hours and len(hours) == len(plan) else ""
    lacking = "; hours are known where the store has a dense training" if len(hours) < len(plan) else ""
    return f"{total}{about}{lacking}"
