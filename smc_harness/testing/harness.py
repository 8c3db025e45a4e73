"""What the fixture `smc` gives to a test: runs of the harness, and where pruners fail in them."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smc_harness.cells import Cell, CellResult, Verdict, show_level
from smc_harness.cli.run import configured
from smc_harness.errors import ExitCode, HarnessError, UsageError, nearest
from smc_harness.session import run
from smc_harness.verdict.first_fail import FirstFail, first_fails

_UNSETTLED = (Verdict.ERROR, Verdict.SKIPPED)


@dataclass(frozen=True)
class Harness:
    """store: where results are kept. alone: whether no other process of pytest runs beside this one."""

    store: Path
    alone: bool = True

    def run(
        self,
        pruners: Any,
        tasks: Any,
        levels: Iterable[float] = (),
        seeds: int = 1,
        parameters: Mapping[str, Any] | None = None,
        options: str = "",
    ) -> Run:
        """Run some pruners on some tasks.

        pruners, tasks: one or several; each is a name or glob of installed plugins, or a plugin itself: a module, or a
        class or object at the top of one. levels: sparsities in [0, 1); none: the paper's ten. parameters: as --set
        takes them, {"snip.batches": 8}. options: any more of the command line; what it leaves open is as in
        [tool.smc-harness] and SMC_HARNESS_ADDOPTS. Raises UsageError for what cannot be run, HarnessError where a
        session plugin failed.
        """
        handed = [item for item in [*_several(pruners), *_several(tasks)] if not isinstance(item, str)]
        words = ["--store", str(self.store), "--seeds", str(seeds)]
        words += ["--pruners", _names(pruners), "--tasks", _names(tasks)]
        if chosen := [show_level(level) for level in levels]:
            words += ["--levels", ",".join(chosen)]
        for name, value in (parameters or {}).items():
            words += ["--set", f"{name}={value}"]
        # as many processes as cores, unless pytest has divided those up itself
        words += [*([] if self.alone else ["-n", "1"]), *shlex.split(options)]
        config = configured(words, handed)
        config.hook.configure(config=config)
        session = run(config, ["smc-harness", *words])
        if session.code is ExitCode.INTERRUPTED:
            raise KeyboardInterrupt
        if problems := session.collection.catalogue.problems:
            raise UsageError(f"{problems[0].source}: {problems[0].reason}")
        if session.faults:
            raise HarnessError(f"a session plugin failed: {session.faults[0]}")
        return Run(session.in_order())


@dataclass(frozen=True, repr=False)
class Run:
    """What came of a run. cells: one result for every cell."""

    cells: Sequence[CellResult]

    def __repr__(self) -> str:
        return f"<run of {', '.join(dict.fromkeys(_label(result.cell) for result in self.cells))}>"

    def first_fail(self, pruner: Any = None, task: Any = None, seed: int | None = None) -> Curve:
        """Where a pruner fails first on a task. What the run has one of need not be said.

        Raises HarnessError where a cell ended in error or was skipped, since then it is not known, and UsageError
        where nothing, or more than one thing, is meant.
        """
        wanted = {"pruner": pruner and _name(pruner), "task": task and _name(task), "seed": seed}
        found = [
            result
            for result in self.cells
            if all(value is None or getattr(result.cell, axis) == value for axis, value in wanted.items())
        ]
        curves = first_fails(found)
        if len(curves) != 1:
            there = list(dict.fromkeys(_label(result.cell) for result in self.cells))
            given = ", ".join(f"{axis} {value!r}" for axis, value in wanted.items() if value is not None)
            hint = nearest(f"{task}::{pruner}", there) or f"; one of {', '.join(there)} would work"
            raise UsageError(f"{given or 'nothing'} given, which fits {len(curves)} curves{hint}")
        for result in found:
            if result.verdict in _UNSETTLED:
                raise HarnessError(f"{result.cell.id}: {result.verdict.value}: {result.error}")
        return Curve(curves[0], tuple(found))


@dataclass(frozen=True, repr=False)
class Curve:
    """Where a pruner fails first on a task: an interval, with the measured levels that it comes from.

    `curve > 0.36` holds if it is known to fail above 0.36 only, `curve <= 0.36` if it is known to have failed there or
    below; of a level within the interval, neither does.
    """

    found: FirstFail
    cells: tuple[CellResult, ...]

    @property
    def last_pass(self) -> float | None:
        """The highest level below the first fail that passed; None where none did."""
        return self.found.last_pass

    @property
    def first_fail(self) -> float:
        """The smallest level that failed; infinity where none did."""
        return math.inf if self.found.first_fail is None else self.found.first_fail

    def holds_up_to(self, level: float) -> bool:
        """Whether every measured level up to this one passed, and this one or a higher one below the first fail did."""
        below = {result.verdict for result in self.cells if result.cell.level <= level}
        reached = self.last_pass is not None and self.last_pass >= level
        return reached and below <= {Verdict.PASS, Verdict.NOT_RUN}

    def __gt__(self, level: float) -> bool:
        return self.holds_up_to(level)

    def __le__(self, level: float) -> bool:
        return self.first_fail <= level

    def __repr__(self) -> str:
        """For the message of an assert: the interval, and the curve below it."""
        from smc_harness.report.tables import interval

        measured = [result for result in self.cells if result.value is not None]
        dense = next((f"dense {result.dense:.4g}" for result in measured if result.dense is not None), "no dense score")
        levels = [f"{show_level(r.cell.level)}: {r.value:.4g} {r.verdict.value}" for r in measured]
        return f"<first fail of {_label(self.found)}: {interval(self.found)}; {', '.join([dense, *levels])}>"


def _label(what: Cell | FirstFail) -> str:
    return f"{what.task}::{what.pruner} seed{what.seed}"


def _several(given: Any) -> list[Any]:
    return list(given) if isinstance(given, list | tuple | set) else [given]


def _names(given: Any) -> str:
    return ",".join(_name(item) for item in _several(given))


def _name(item: Any) -> str:
    return item if isinstance(item, str) else str(getattr(item, "name", item))
