"""A driver whose executor plays a script, and clusters on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from smc_harness import Train
from smc_harness.cells import Cell, CellResult
from smc_harness.conversation.options import RunOptions
from smc_harness.discovery.loading import Plugin
from smc_harness.execution.driver import Driver
from smc_harness.execution.ledger import Observer, Rules
from smc_harness.execution.tracks import Dense, Track
from smc_harness.lifecycle import keys
from smc_harness.store.results import Results
from smc_harness.verdict.rule import Tolerance
from smc_harness.verdict.search import Search
from tests.execution.nodes import Nodes, nodes
from tests.execution.playing import LEVELS, Recorder, Script
from tests.toys import plugin, pruner_of, toy_task


@pytest.fixture
def drive(tmp_path: Path):
    def run(
        script: Script,
        pruners: dict[str, Plugin] | None = None,
        *,
        slots: int = 1,
        search: str = "until-fail",
        resolution: float | None = None,
        max_fail: int | None = None,
        task=None,
        more: bool = False,
        told: Callable[[Cell | CellResult], None] = lambda item: None,
    ) -> tuple[Recorder, dict[str, CellResult]]:
        task = plugin("task", "toy", task or toy_task())
        options = RunOptions()
        root = keys.root(task, options, 0)
        (trained,) = keys.chain(root, [Train()], None, None, "paper")
        dense = Dense(task, 0, options, keys.cell(trained, task, options), trained)
        pruners = pruners or {"one": plugin("pruner", "one", pruner_of("after"))}
        tracks = [
            Track(dense, pruner, {level: Cell("toy", name, level, 0) for level in LEVELS})
            for name, pruner in pruners.items()
        ]
        recorder = Recorder(slots, script)
        recorder.tracks, recorder.more = tracks, more
        found: dict[str, CellResult] = {}

        def finished(result: CellResult) -> None:
            found[result.cell.id] = result
            told(result)

        results = Results(tmp_path)
        observer = Observer(told, finished, partial(results.settle, results.begin_session("test")))
        rules = Rules(lambda task: Tolerance(), Search(search, resolution), True, max_fail)
        Driver(tracks, lambda jobs: recorder, results, rules, observer, (), str(tmp_path)).run()
        results.close()
        return recorder, found

    return run


@pytest.fixture
def cluster() -> Iterator[Nodes]:
    """Two nodes, of which a test may remove one."""
    pytest.importorskip("ray")
    with nodes(2) as found:
        yield found


@pytest.fixture(scope="session")
def lasting_cluster() -> Iterator[Nodes]:
    """Two nodes that many tests share."""
    pytest.importorskip("ray")
    with nodes(2) as found:
        yield found
