"""An answer comes from a process of its own, whatever the plugin prints, waits for or starts there."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from smc_harness.conformance import own_process
from smc_harness.conformance.check import Fault
from smc_harness.conformance.examine import check_pruner
from smc_harness.conformance.find import find
from smc_harness.conformance.light import light
from smc_harness.conformance.subject import Subject
from smc_harness.conformance.surroundings import secluded
from smc_harness.errors import UsageError
from tests.workshop import Workshop

PRUNER = """
    {top}
    from smc_harness import hookimpl

    name, phase, description = "mine", "before", "as it is"

    @hookimpl
    def compute_scores(model, context):
        {body}
        return {{n: p.detach().abs() for n, p in context.prunable(model)}}
"""


def subject(workshop: Workshop, top: str) -> Subject:
    (locator,) = find(workshop.write("mine.py", PRUNER.format(top=top, body="")))
    return Subject(locator)


@pytest.mark.parametrize(
    "top",
    [
        "import atexit, sys; 'torch' in sys.modules or atexit.register(print, 'bye')",
        "import sys; 'torch' in sys.modules or sys.__stdout__.write('import')",
        "import subprocess, sys; 'torch' in sys.modules or subprocess.Popen(['sleep', '20'])",
    ],
    ids=["bye", "words", "left behind"],
)
def test_what_it_prints_or_leaves_behind_is_no_answer(workshop: Workshop, top: str) -> None:
    light(subject(workshop, top))


def test_one_that_does_not_come_to_an_end_is_told_so(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_process, "SECONDS", 2.0)
    waiting = subject(workshop, "import sys, time; 'torch' in sys.modules or time.sleep(3600)")
    with pytest.raises(Fault, match="it has not come to an end after 2 s; .* would work"):
        light(waiting)


def test_one_that_crashes_is_told_the_signal(workshop: Workshop) -> None:
    crashing = subject(workshop, "import os, sys; 'torch' in sys.modules or os.abort()")
    with pytest.raises(Fault, match="it is ended by SIGABRT"):
        light(crashing)


def test_checks_within_a_check_are_refused(workshop: Workshop) -> None:
    file = workshop.write("mine.py", PRUNER.format(top="", body=""))
    with secluded(), pytest.raises(UsageError, match=r"if __name__ == '__main__': before check_pruner\(...\)"):
        check_pruner(file)
    assert "SMC_HARNESS_CHECKING" not in os.environ


SCRIPT = """
    from smc_harness import hookimpl
    from smc_harness.testing import check_pruner

    class Mine:
        "It checks itself as soon as it is imported."

        name, phase = "mine", "after"

        @hookimpl
        def compute_scores(self, model, context):
            return {n: p.detach().abs() for n, p in context.prunable(model)}

    print(check_pruner(Mine))
"""


def test_a_script_that_checks_itself_on_import_is_told_the_remedy(workshop: Workshop) -> None:
    script = workshop.write("script.py", SCRIPT)
    ran = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
    assert "declaration: failed" in ran.stdout
    assert "if __name__ == '__main__': before check_pruner(...)" in ran.stdout


ONE_CHECK = """
import sys
from smc_harness.conformance.examine import examination
from smc_harness.conformance.find import find

found = examination(find(sys.argv[1])[0]).settle("workers")
print(found.outcome, found.reason)
"""


def test_a_seed_that_is_a_hash_is_found_where_the_environment_fixes_hashes(workshop: Workshop) -> None:
    body = """return {n: torch.rand(p.shape, generator=torch.Generator().manual_seed(hash(n) % 2**31)).to(p.device)
            for n, p in context.prunable(model)}"""
    file = workshop.write("mine.py", PRUNER.format(top="import torch", body=body))
    fixed = {**os.environ, "PYTHONHASHSEED": "0"}
    ran = subprocess.run(
        [sys.executable, "-c", ONE_CHECK, str(file)], capture_output=True, text=True, check=True, env=fixed
    )
    assert ran.stdout.startswith("failed where Python hashes texts in another way, it chooses other weights")
