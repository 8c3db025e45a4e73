"""tasks x pruners x levels x seeds -> cells, in a fixed order. Torch is not imported."""

from __future__ import annotations

import argparse
import fnmatch
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from smc_harness.cells import CONTROLS, Cell
from smc_harness.collection.choose import Choice, read_settings, read_variant
from smc_harness.collection.keyword import compile_keyword
from smc_harness.config import Config, read_levels
from smc_harness.discovery.catalogue import Catalogue, discover
from smc_harness.discovery.loading import Plugin, control_of
from smc_harness.errors import UsageError, nearest


@dataclass
class Collection:
    """What takes part in a session.

    cells: the selected ones, in the order tasks, pruners, seeds, levels. deselected: how many were collected and not
    selected.
    """

    catalogue: Catalogue
    tasks: dict[str, Plugin]
    pruners: dict[str, Plugin]
    cells: list[Cell]
    deselected: int = 0


def collect(config: Config) -> Collection:
    """Find the plugins, build the cells and select among them. Raises UsageError."""
    options = config.options
    catalogue = config.stash.get("catalogue") or discover([Path(path) for path in options.collect])
    choice = Choice(catalogue, read_settings(options.set))
    variants = [read_variant(text) for text in options.variant]
    tasks = choice.choose("task", _patterns(options.tasks))
    pruners = choice.choose("pruner", _patterns(options.pruners), variants)
    _check_pruners(pruners)
    if options.controls:
        pruners = [plugin for own in pruners for plugin in (own, *(control_of(own, kind) for kind in CONTROLS))]
    if unused := sorted(set(choice.settings) - choice.used):
        names = [plugin.name for plugin in [*tasks, *pruners]]
        raise UsageError(f"--set {unused[0]}: no such task or pruner in this run{nearest(unused[0], names)}")
    together = options.verdict == "noninferiority"  # what seeds differ by is part of what it takes its verdict on
    cells = build(tasks, pruners, read_levels(options.levels), options.seeds, options.scope, together)
    config.hook.modify_cells(cells=cells, config=config)
    _check_modified(cells, {task.name for task in tasks}, {pruner.name for pruner in pruners})
    chosen = select(cells, options, lambda: _last_failed(Path(options.store)))
    return Collection(
        catalogue,
        {task.name: task for task in tasks},
        {pruner.name: pruner for pruner in pruners},
        chosen,
        len(cells) - len(chosen),
    )


def _last_failed(store: Path) -> set[str]:
    from smc_harness.store.results import last_failed

    return last_failed(store)


def _check_pruners(pruners: Sequence[Plugin]) -> None:
    """Raise UsageError for a pruner or variant that is called like a control, or reads a file that is not there."""
    for pruner in pruners:
        pruner.files  # noqa: B018  it names what is not there
        if pruner.name.endswith(tuple(f"~{kind}" for kind in CONTROLS)):
            raise UsageError(f"{pruner.name}: so a control is called, which --controls adds; another name would work")


def build(
    tasks: Sequence[Plugin],
    pruners: Sequence[Plugin],
    levels: Sequence[float],
    seeds: int,
    scope: str,
    together: bool = False,
) -> list[Cell]:
    """The cross product. A pruner that exists at levels of its own has those in place of the grid.

    together: all seeds are judged as one, whatever they are of the task.
    """
    # what a pruner declares may be a function of its parameters: asked once, not for every cell
    columns = [(p.name, p.phase, p.params_digest, sorted(set(p.levels or levels))) for p in pruners]
    return [
        Cell(task.name, pruner, float(level), seed, phase, scope, params, pool)
        for task in tasks
        for pruner, phase, params, own in columns
        for seed, pool in enumerate(_pools(seeds, seeds if together else task.folds))
        for level in own
    ]


def _pools(seeds: int, folds: int) -> list[tuple[int, ...]]:
    """For every seed, the seeds that it is judged with; none where it is judged alone."""
    blocks = [tuple(range(first, min(first + folds, seeds))) for first in range(0, seeds, folds)]
    return [block if folds > 1 else () for block in blocks for _ in block]


def _check_modified(cells: Sequence[Cell], tasks: set[str], pruners: set[str]) -> None:
    """Raise UsageError for a cell that a session plugin added and that cannot be run."""
    seen: set[str] = set()
    for cell in cells:
        if cell.task not in tasks or cell.pruner not in pruners:
            raise UsageError(f"modify_cells added {cell.id}; a cell of this run's tasks and pruners would work")
        if not 0 <= cell.level < 1:
            raise UsageError(f"modify_cells added {cell.id}; a level in [0, 1) would work")
        if cell.id in seen:
            raise UsageError(f"modify_cells added {cell.id}, which is there already; once would work")
        seen.add(cell.id)


def select(cells: Sequence[Cell], options: argparse.Namespace, failed: Callable[[], set[str]] = set) -> list[Cell]:
    """The cells left by the ids, -k, --deselect, --lf and --shard. Raises UsageError for an id that matches nothing.

    failed: called for --lf only; the ids of the cells to run again, none for all of them.
    """
    chosen = list(cells)
    if options.ids:
        kept = [match for text in options.ids for match in _by_id(text, chosen, "")]
        ids = {cell.id for cell in kept}
        chosen = [cell for cell in chosen if cell.id in ids]
    if options.keyword:
        matches = compile_keyword(options.keyword)
        chosen = [cell for cell in chosen if matches(cell.id)]
    if options.deselect:
        gone = {cell.id for text in options.deselect for cell in _by_id(text, cells, "--deselect ")}
        chosen = [cell for cell in chosen if cell.id not in gone]
    if options.last_failed and (again := failed()):
        chosen = [cell for cell in chosen if cell.id in again]
    return part(chosen, *options.shard) if options.shard else chosen


def part(cells: Sequence[Cell], number: int, of: int) -> list[Cell]:
    """The `number`-th of so many parts with as many trajectories, from 1; cells of one dense model stay together."""
    trajectories = sorted(
        dict.fromkeys(cell.trajectory for cell in cells), key=lambda trajectory: (trajectory[0], trajectory[2])
    )
    first, last = ((number - 1) * len(trajectories) // of, number * len(trajectories) // of)
    kept = set(trajectories[first:last])
    return [cell for cell in cells if cell.trajectory in kept]


def _by_id(text: str, cells: Sequence[Cell], option: str) -> list[Cell]:
    """Cells whose id is `text`, begins with it at a boundary, or matches it as a glob, in this order of preference.

    In a glob, * and ? are special and brackets are not: every id has brackets.
    """
    glob = text.replace("[", "[[]")
    exact = [cell for cell in cells if cell.id == text]
    within = [cell for cell in cells if text in (cell.task, f"{cell.task}::{cell.pruner}")]
    found = exact or within or [cell for cell in cells if fnmatch.fnmatchcase(cell.id, glob)]
    if not found:
        raise UsageError(f"{option}{text}: no cell has this id{nearest(text, [cell.id for cell in cells])}")
    return found


def _patterns(text: str | None) -> list[str]:
    return [word.strip() for word in (text or "").split(",") if word.strip()]
