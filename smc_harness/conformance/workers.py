"""What a worker process measures, given plugins by their places."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import chdir
from pathlib import Path

from smc_harness.cells import Measurement
from smc_harness.conformance.check import Fault
from smc_harness.conversation.options import RunOptions
from smc_harness.discovery.loading import Plugin
from smc_harness.execution.jobs import Died, Failed, Job, Measured, PluginRef
from smc_harness.execution.processes import ProcessExecutor


def measured_by_worker(
    task: Plugin,
    pruner: Plugin,
    listeners: Sequence[Plugin],
    options: RunOptions,
    levels: tuple[float, ...],
    store: Path,
) -> dict[float, Measurement]:
    """{level: measurement}. Raises Fault with what went wrong there, and what the plugins printed."""
    job = Job(
        task=PluginRef.of(task),
        pruner=PluginRef.of(pruner),
        listeners=tuple(PluginRef.of(listener) for listener in listeners),
        options=options,
        seed=0,
        store=str(store),
        levels=levels,
        search="grid",
    )
    found = {}
    executor = ProcessExecutor(1, store)
    with chdir(tempfile.gettempdir()):  # what starts here outlives the folder of this check
        executor.prepare()
    try:
        executor.submit(job)
        for _, event in executor.events():
            if isinstance(event, Failed | Died):
                raise Fault(f"in a worker process: {event.error}")
            if isinstance(event, Measured) and event.level is not None:
                found[event.level] = event.measurement
    finally:
        executor.close()
    return found
