"""Worker processes, one by one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from smc_harness.conversation.options import RunOptions
from smc_harness.discovery.loading import Locator
from smc_harness.execution.jobs import Died, Failed, Finished, Job, PluginRef, Started
from smc_harness.execution.processes import ProcessExecutor
from tests.workshop import Workshop


@pytest.fixture
def executor(tmp_path: Path) -> Iterator[ProcessExecutor]:
    executor = ProcessExecutor(2, tmp_path)
    yield executor
    executor.close()


def job_of(tmp_path: Path, source: str) -> Job:
    """A dense job whose task is a file with this source."""
    file = tmp_path / "task.py"
    file.write_text(source)
    return Job(PluginRef(Locator("task", "t", "t", path=str(file)), {}, "t"), None, (), RunOptions(), 0, str(tmp_path))


def test_a_worker_that_died_while_idle_is_replaced(executor: ProcessExecutor, tmp_path: Path) -> None:
    worker = executor._start()
    worker.process.kill()
    worker.process.join()
    executor._idle.append(worker)
    executor.submit(job_of(tmp_path, "1 / 0"))
    kinds = [type(event) for _, event in executor.events()]
    assert kinds == [Started, Failed, Finished]
    assert not worker.log.exists()


@pytest.fixture
def impatient(tmp_path: Path) -> Iterator[ProcessExecutor]:
    executor = ProcessExecutor(2, tmp_path, timeout=0.5)
    yield executor
    executor.close()


HANGS = """\
import time

def waits_for_nobody():
    while True:
        time.sleep(60)

waits_for_nobody()
"""


def test_a_worker_that_takes_too_long_says_where_it_is_and_is_ended(impatient: ProcessExecutor, tmp_path: Path) -> None:
    impatient.submit(job_of(tmp_path, HANGS))
    started, died = (event for _, event in impatient.events())
    assert (type(started), type(died)) == (Started, Died)
    assert (died.error, died.tries) == ("took longer than 0.5 s (--timeout)", 1)
    assert "in waits_for_nobody" in died.output
    assert impatient.busy == []


def test_another_worker_is_heard_while_one_hangs(impatient: ProcessExecutor, tmp_path: Path) -> None:
    impatient.submit(job_of(tmp_path, HANGS))
    (tmp_path / "other").mkdir()
    impatient.submit(job_of(tmp_path / "other", "1 / 0"))
    kinds = [type(event) for _, event in impatient.events()]
    assert kinds.index(Failed) < kinds.index(Died)


def test_whoever_is_not_patient_need_not_wait(executor: ProcessExecutor, tmp_path: Path) -> None:
    executor.submit(job_of(tmp_path, HANGS))
    assert [type(event) for _, event in executor.events(patience=3.0)] == [Started]
    assert len(executor.busy) == 1


def test_where_a_worker_was_that_a_signal_ended_is_kept(executor: ProcessExecutor, tmp_path: Path) -> None:
    executor.submit(job_of(tmp_path, "import os\ndef falls():\n    os.kill(os.getpid(), 11)\nfalls()"))
    *_, died = (event for _, event in executor.events())
    assert died.error == "the worker process was ended by SIGSEGV"
    assert "in falls" in died.output


def test_of_megabytes_of_output_the_end_is_kept(executor: ProcessExecutor, tmp_path: Path) -> None:
    executor.submit(job_of(tmp_path, "print('a' * 30_000_000)\nprint('the end')\n1 / 0"))
    (failed,) = (event for _, event in executor.events() if isinstance(event, Failed))
    assert failed.output.endswith("a\nthe end\n")
    assert len(failed.output) == 4000


def test_texts_have_the_same_hash_in_every_run(executor: ProcessExecutor, tmp_path: Path) -> None:
    executor.submit(job_of(tmp_path, "import os, sys; raise ValueError(os.environ['PYTHONHASHSEED'])"))
    (failed,) = (event for _, event in executor.events() if isinstance(event, Failed))
    assert "ValueError: 0" in failed.error


SHARING = """\
import json, multiprocessing, os, sys
from multiprocessing.forkserver import ensure_running
sys.path.insert(0, os.getcwd())
from pathlib import Path
from smc_harness.conversation.options import RunOptions
from smc_harness.discovery.loading import Locator
from smc_harness.execution.jobs import Failed, Job, PluginRef
from smc_harness.execution.processes import ProcessExecutor

place = Locator("task", "t", "t", path=str(Path("task.py").resolve()))
job = Job(PluginRef(place, {}, "t"), None, (), RunOptions(), 0, ".")
executor = ProcessExecutor(2, Path("."), shared=["absent", "broken", "leaving", "heavy.loaded_by"])
for _ in range(2):
    executor.submit(job)
print(json.dumps([event.error for _, event in executor.events() if isinstance(event, Failed)]))
executor.close()
"""


def test_what_is_shared_is_imported_once_and_what_cannot_be_is_left_to_the_workers(workshop: Workshop) -> None:
    """In a process of its own: there is one server in each."""
    workshop.write("heavy.py", "import os\nprint('loud')\nloaded_by = os.getpid()\n")
    workshop.write("broken.py", "1 / 0\n")
    workshop.write("leaving.py", "raise SystemExit\n")
    workshop.write("task.py", "import gc, heavy; raise ValueError(heavy.loaded_by, gc.get_freeze_count() > 0)\n")
    environment = os.environ | {"PYTHONPATH": str(workshop.folder)}
    words = [sys.executable, "-c", SHARING]
    done = subprocess.run(words, cwd=workshop.folder, env=environment, capture_output=True, text=True, check=True)
    first, second = json.loads(done.stdout)
    assert first == second and "True" in first


def test_every_worker_sees_one_gpu_and_a_replacement_the_same_one(tmp_path: Path) -> None:
    executor = ProcessExecutor(3, tmp_path, gpus=("4", "GPU-5"))
    job = job_of(tmp_path, "import os; raise ValueError(os.environ['CUDA_VISIBLE_DEVICES'])")
    try:
        for _ in range(3):
            executor.submit(job)
        errors = [event.error for _, event in executor.events() if isinstance(event, Failed)]
        assert sorted(error.partition("ValueError: ")[2].split()[0] for error in errors) == ["4", "4", "GPU-5"]
        gone = next(worker for worker in executor._idle if worker.gpu == "GPU-5")
        executor._idle.remove(gone)
        executor._bury(gone)
        executor._idle.append(executor._start())
        assert executor._idle[-1].gpu == "GPU-5"
    finally:
        executor.close()


def test_a_worker_whose_gpu_broke_is_replaced(executor: ProcessExecutor, tmp_path: Path) -> None:
    breaking = "from smc_harness.conversation import device; device.is_broken = lambda: True; 1 / 0"
    executor.submit(job_of(tmp_path, breaking))
    assert [type(event) for _, event in executor.events()] == [Started, Failed, Died]
    executor.submit(job_of(tmp_path, "1 / 0"))
    assert [type(event) for _, event in executor.events()] == [Started, Failed, Finished]


def test_each_worker_has_a_log_of_its_own(executor: ProcessExecutor) -> None:
    first, second = executor._start(), executor._start()
    executor._bury(first)
    third = executor._start()
    assert len({first.log, second.log, third.log}) == 3
    executor._idle += [second, third]


@pytest.mark.parametrize("end", ["raise ValueError('on purpose')", "import os; os._exit(3)"])
def test_what_a_plugin_said_before_it_broke_is_kept(workshop: Workshop, end: str) -> None:
    """Also where Python buffers what goes to a file, as it does by default."""
    workshop.toy()
    text = workshop.pruner("loud").read_text()
    workshop.write(
        "plugins/loud.py", text.replace("    return {", f"    print('I was here')\n    {end}\n    return {{")
    )
    words = ("--collect", "plugins", "--levels", "0.2", "-n", "1", "--debug")
    ran = workshop.run(*words, environment={"PYTHONUNBUFFERED": ""})
    assert ran.code == 6
    assert "I was here" in ran.out
