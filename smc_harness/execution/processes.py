"""Runs jobs in worker processes on this machine.

Workers are forked from a server process that has imported torch once, so that one more of them costs little. Each has
a pipe to the driver, and ends when the driver does, however that ends.
"""

from __future__ import annotations

import faulthandler
import math
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from smc_harness.execution.devices import confine, least_used
from smc_harness.execution.jobs import Died, Event, Failed, Finished, Job, Measured, Started

SHARED = "SMC_HARNESS_SHARED"
"""The environment variable that tells the server what to import: dotted names, separated by spaces."""

_OUTPUT_KEPT = 4000
"""Bytes of a plugin's output that are kept with an error, the last ones."""
_FAREWELL = 5.0
"""Seconds that workers have to end when they are told to."""
_LAST_WORDS = 0.2
"""Seconds that a worker has to say where it hangs."""


@dataclass
class Worker:
    """A process, and what it is doing. gpu: the one that it sees. job: None while it has nothing to do. since: when it
    began on the level, by the monotonic clock; None in between.
    """

    process: BaseProcess
    pipe: Connection
    log: Path
    gpu: str | None = None
    job: Job | None = None
    level: float | None = None
    since: float | None = None


class ProcessExecutor:
    """`slots` workers; one that dies is replaced when the next job comes.

    logs: folder for what plugins print. gpus: shared by the workers; none where they compute on the CPU.
    shared: what workers will import, imported once for all of them; not where there are GPUs, as a process that has
    called CUDA cannot be forked. timeout: seconds that a level may take. busy: the workers that have a job.
    """

    def __init__(
        self,
        slots: int,
        logs: Path,
        gpus: Sequence[str] = (),
        shared: Sequence[str] = (),
        timeout: float | None = None,
    ) -> None:
        self.slots = slots
        self.logs = logs
        self.gpus = gpus
        self.timeout = timeout
        self._shared = " ".join(shared) if not gpus else ""
        self._idle: list[Worker] = []
        self.busy: list[Worker] = []
        self._numbers = count()
        methods = multiprocessing.get_all_start_methods()
        self._context: Any = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
        if "forkserver" in methods:
            self._context.set_forkserver_preload(["smc_harness.execution.perform", "smc_harness.execution.server"])

    def prepare(self) -> None:
        """Start the server that workers are forked from, where it does not run yet; a worker would do it otherwise.

        It lives as long as this process, in the working directory of now.
        """
        if self._context.get_start_method() == "forkserver":
            with _quiet_main(), self._surroundings():
                forkserver.ensure_running()

    def submit(self, job: Job) -> None:
        worker = self._idle.pop() if self._idle else self._start()
        try:
            worker.pipe.send(job)
        except OSError:
            # it died while it had nothing to do: nobody's cell is to blame
            self._bury(worker)
            worker = self._start()
            worker.pipe.send(job)
        worker.job, worker.level, worker.since = job, None, None
        self.busy.append(worker)

    @property
    def more(self) -> bool:
        return bool(wait([worker.pipe for worker in self.busy], timeout=0))

    def events(self, patience: float | None = None) -> Iterator[tuple[Job, Event]]:
        while self.busy:
            ready = wait([worker.pipe for worker in self.busy], self._pause(patience))
            heard = False
            for worker in list(self.busy):
                job = worker.job
                assert job is not None
                if worker.pipe in ready:
                    heard = True
                    yield job, self._receive(worker)
                elif self._left(worker) <= 0.0:
                    heard = True
                    yield job, self._stop(worker)
            if not heard and patience is not None:
                return

    def _pause(self, patience: float | None) -> float | None:
        """How long to listen: until something must be done, or for ever."""
        ends = [left for worker in self.busy if (left := self._left(worker)) < math.inf]
        return min([*ends, *([patience] if patience is not None else [])], default=None)

    def _left(self, worker: Worker) -> float:
        """Seconds until the level must be done."""
        if self.timeout is None or worker.since is None:
            return math.inf
        return max(0.0, worker.since + self.timeout - time.monotonic())

    def _stop(self, worker: Worker) -> Event:
        """End a worker that takes too long, after it has said where it is."""
        if hasattr(faulthandler, "register") and worker.process.pid is not None:
            os.kill(worker.process.pid, signal.SIGUSR1)
            worker.process.join(_LAST_WORDS)
        worker.process.kill()
        return Died(worker.level, f"took longer than {self.timeout:g} s (--timeout)", self._remove(worker), tries=1)

    def _receive(self, worker: Worker) -> Event:
        try:
            event: Event = worker.pipe.recv()
        except (EOFError, OSError):
            worker.process.join()
            ending = _ending(worker.process.exitcode)
            return Died(worker.level, f"the worker process {ending}", self._remove(worker))
        match event:
            case Started():
                worker.level, worker.since = event.level, time.monotonic()
            case Measured():
                worker.since = None
            case Failed():
                worker.since = None
                event = replace(event, output=_tail(worker.log))
            case Finished():
                self.busy.remove(worker)
                self._idle.append(worker)
        return event

    def _remove(self, worker: Worker) -> str:
        """Bury a busy worker. Returns the last that was printed."""
        self.busy.remove(worker)
        worker.process.join()
        output = _tail(worker.log)
        self._bury(worker)
        return output

    def _start(self) -> Worker:
        here, there = self._context.Pipe()
        log = self.logs / f"worker-{os.getpid()}-{next(self._numbers)}.log"
        gpu = least_used(self.gpus, [worker.gpu for worker in [*self.busy, *self._idle]])
        with _quiet_main(), self._surroundings():
            process = self._context.Process(target=_work, args=(there, str(log), gpu), daemon=True)
            process.start()
        there.close()
        return Worker(process, here, log, gpu)

    @contextmanager
    def _surroundings(self) -> Iterator[None]:
        """Start processes in which the hash of a text is the same in every run, and that share what they import.

        A task that builds its vocabulary from a set would otherwise read another language after a restart.
        """
        wanted = {"PYTHONHASHSEED": "0", SHARED: self._shared}
        before = {name: os.environ.get(name) for name in wanted}
        os.environ.update(wanted)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value

    def close(self) -> None:
        workers = [*self.busy, *self._idle]
        self.busy.clear()
        self._idle.clear()
        try:
            for worker in workers:
                worker.process.terminate()
            end = time.monotonic() + _FAREWELL
            for worker in workers:
                worker.process.join(max(0.0, end - time.monotonic()))
        finally:  # also where a second Ctrl-C comes while a worker will not listen
            for worker in workers:
                self._bury(worker)

    def _bury(self, worker: Worker) -> None:
        """See that a worker has ended, and remove what it leaves."""
        worker.process.kill()
        worker.process.join()
        worker.pipe.close()
        worker.log.unlink(missing_ok=True)


@contextmanager
def _quiet_main() -> Iterator[None]:
    """Keep multiprocessing from importing the driver's main module again in the worker, which needs none of it."""
    main = sys.modules["__main__"]
    saved = {name: getattr(main, name) for name in ("__file__", "__spec__") if hasattr(main, name)}
    main.__spec__ = None
    main.__dict__.pop("__file__", None)
    try:
        yield
    finally:
        main.__dict__.update(saved)


def _work(pipe: Connection, log: str, gpu: str | None) -> None:
    """The worker's life: jobs come through the pipe, events go back."""
    # Ctrl-C reaches the whole process group; the driver decides what it means
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _follow_parent()
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    os.dup2(output, 1)
    os.dup2(output, 2)
    faulthandler.enable()  # where a process was that ends by a signal
    if hasattr(faulthandler, "register"):
        faulthandler.register(signal.SIGUSR1)  # and one that hangs
    for stream in (sys.stdout, sys.stderr):  # what a process said before it broke or ended must be there to be read
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    confine(gpu)
    from smc_harness.conversation import device
    from smc_harness.execution.perform import perform

    while True:
        try:
            job = pipe.recv()
        except EOFError:
            return
        os.truncate(log, 0)
        for event in perform(job, pipe.send):
            if isinstance(event, Failed):
                sys.stdout.flush()  # a line without an end
            pipe.send(event)
            if isinstance(event, Failed) and device.is_broken():
                return  # the driver starts another worker for what is left of the job


def _follow_parent() -> None:
    """End this process as soon as the driver is gone, also in the middle of a computation."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _ending(code: int | None) -> str:
    if code is not None and code < 0:
        return f"was ended by {signal.Signals(-code).name}" + (" (out of memory?)" if code == -9 else "")
    return f"ended with exit code {code}"


def _tail(log: Path) -> str:
    """The end of a log, however long that is."""
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, stream.seek(0, os.SEEK_END) - _OUTPUT_KEPT))
            return stream.read().decode(errors="replace")
    except OSError:
        return ""
