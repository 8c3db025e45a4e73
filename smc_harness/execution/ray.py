"""Runs jobs on a Ray cluster (`--dist ray`), however many nodes it has or comes to have.

Nodes share nothing with this machine but the installed packages and the paths of plugins and data. States go to them
through Ray's object store, and back to the one store here, whose only writer this process stays. Ray is told what a job
needs and where none is free it waits: a cluster that grows with its queue grows with ours.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from smc_harness.errors import UsageError, one_line
from smc_harness.execution.jobs import Died, Event, Finished, Job, Started
from smc_harness.execution.node import LOST, Terms, Wrote, serve
from smc_harness.lifecycle.keys import under_way
from smc_harness.store.artifacts import Artifacts

MOST = 1000
"""Jobs that Ray is given at once where nobody says how many: what waits there is what a growing cluster looks at."""
_HELD = 32
"""States that stay in Ray's object store for the jobs to come; it writes to disk what does not fit into memory."""
_GRACE = 5.0
"""Seconds that nodes have to tidy up when a run ends early."""
_REACHED = 10.0
"""Seconds that a cluster may take to answer."""
_ROOM = 1.25
"""How much more memory than its dense training a trajectory is given: masks, and states of the pruner."""


@dataclass(eq=False)
class _Running:
    """A job and what its node says. level: that it is at, as far as that is known."""

    job: Job
    stream: Any
    level: float | None = None


class RayExecutor:
    """`slots` jobs at a time, each a task of Ray.

    artifacts: of the store here. address: of a cluster; None: the one that RAY_ADDRESS names, else one on this machine.
    Raises UsageError where there is no Ray, or no such cluster.
    """

    def __init__(self, slots: int, artifacts: Artifacts, terms: Terms, address: str | None = None) -> None:
        self.slots = slots
        self._artifacts = artifacts
        self._ray, self._ours = _connect(address)
        self._terms = terms
        self._serve = self._ray.remote(num_returns="streaming", max_retries=0)(_task)
        self._running: list[_Running] = []
        self._state = lru_cache(_HELD)(self._put)

    def submit(self, job: Job) -> None:
        lasting, passing = useful(job, self._artifacts)
        given = [*((key, self._state(key)) for key in lasting), *((key, self._put(key)) for key in passing)]
        given = [(key, content) for key, content in given if content is not None]
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        stream = self._serve.options(**needs(job, nodes)).remote(job, given, self._terms)
        self._running.append(_Running(job, stream))

    def _put(self, key: str) -> Any:
        """Have an artifact where all nodes can get it; None where there is none."""
        content = self._artifacts.content(key)
        return None if content is None else self._ray.put(content)

    @property
    def more(self) -> bool:
        return self._heard(0.0) is not None

    def events(self, patience: float | None = None) -> Iterator[tuple[Job, Event]]:
        while self._running:
            running = self._heard(patience)
            if running is None:
                return
            self._running.remove(running)
            event = self._receive(running)
            if not isinstance(event, Finished | Died):
                self._running.append(running)  # behind all others, which are heard first
            if event is not None:
                yield running.job, event

    def _heard(self, patience: float | None) -> _Running | None:
        """A job of which there is news; None where there is none for so many seconds."""
        if not self._running:
            return None
        ready, _ = self._ray.wait([running.stream for running in self._running], timeout=patience)
        return next((running for running in self._running if running.stream in ready), None)

    def _receive(self, running: _Running) -> Event | None:
        """The next event of a job; None where there was something for the store instead. Raises StoreError."""
        try:
            said: Event | Wrote = self._ray.get(next(running.stream))
        except StopIteration:
            return Died(running.level, "its node ended without it")
        except self._ray.exceptions.RayTaskError as error:
            return Died(running.level, f"its node could not do it: {one_line(error.cause)}")
        except self._ray.exceptions.RayError as error:
            return Died(running.level, f"its node was lost: {_first_sentence(error)}", tries=LOST)
        match said:
            case Wrote():
                self._keep(said)
                return None
            case Started():
                running.level = said.level
        return said

    def _keep(self, said: Wrote) -> None:
        if said.content is None:
            self._artifacts.drop(said.key)
        else:
            self._artifacts.take(said.key, said.content)

    def close(self) -> None:
        streams = [running.stream for running in self._running]
        self._running.clear()
        try:
            for stream in streams:
                self._ray.cancel(stream)
            if streams:
                self._ray.wait(streams, num_returns=len(streams), timeout=_GRACE)
        finally:  # also where a second Ctrl-C comes
            for stream in streams:
                self._ray.cancel(stream, force=True)
            if self._ours:
                self._ray.shutdown()


def useful(job: Job, artifacts: Artifacts) -> tuple[Sequence[str], Sequence[str]]:
    """Keys of what a store has that spares a job work: states and outcomes, which stay what they are, and checkpoints
    of trainings under way, which others replace.

    Of every chain the furthest state is enough. The start weights go along, so that a node which builds others says so.
    """
    lasting, passing = list(job.read), []
    for chain in job.chains:
        present = [place for place, key in enumerate(chain) if artifacts.has(key)]
        lasting += [chain[place] for place in present if place in (0, present[-1])]
        passing += [under_way(key) for key in chain[max(present, default=-1) + 1 :]]
    return list(dict.fromkeys(lasting)), [key for key in dict.fromkeys(passing) if artifacts.has(key)]


def needs(job: Job, nodes: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """What a node must have free, as options of a Ray task. nodes: what those have that live.

    Memory is what the dense training took, and some more, but never what no node has: the job would wait for ever.
    """
    found: dict[str, float] = {"num_cpus": job.options.threads}
    if job.options.device == "cuda":
        found["num_gpus"] = 1
    elif job.dense is not None and job.dense.peak_memory:
        largest = max((node.get("memory", 0.0) for node in nodes), default=0.0)
        found["memory"] = int(min(_ROOM * job.dense.peak_memory, largest))
    return found


def _task(job: Job, given: Sequence[tuple[str, Any]], terms: Terms) -> Iterator[Event | Wrote]:
    """What runs on a node."""
    import ray

    yield from serve(job, ((key, ray.get(content)) for key, content in given), terms)


def _connect(address: str | None) -> tuple[Any, bool]:
    """Ray, and whether to leave it in the end: where it is in use already, it is somebody else's."""
    try:
        import ray
    except ImportError as error:
        raise UsageError(
            f"--dist ray: {one_line(error)}; python -m pip install 'smc-harness[ray]' would work"
        ) from error
    if ray.is_initialized():
        return ray, False
    _check_reachable(address)
    # of a cluster that is started here: nobody is told of it, and a task without GPUs is left what it sees
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise UsageError(f"--ray-address {address}: {one_line(error)}; the address of a cluster would work") from error
    return ray, True


def _check_reachable(address: str | None) -> None:
    """Raise UsageError where nobody listens, which Ray would try again for minutes."""
    host, colon, port = (address or "").rpartition(":")
    if not colon or not port.isdecimal() or "/" in host:
        return  # another form, of which Ray knows more
    try:
        socket.create_connection((host, int(port)), timeout=_REACHED).close()
    except OSError as error:
        raise UsageError(f"--ray-address {address}: {one_line(error)}; the address of a cluster would work") from error


def _first_sentence(error: BaseException) -> str:
    """Of what Ray says, which goes on at length."""
    text = one_line(error)
    return text.partition(". ")[0].rstrip(".")
