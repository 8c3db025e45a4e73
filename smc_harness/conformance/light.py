"""Whether a plugin can be listed and planned without torch, asked in a process that has not loaded it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict

from smc_harness.conformance.check import Check, Fault, NotApplicableError
from smc_harness.conformance.subject import Subject


def light(subject: Subject) -> None:
    """Listing it, and asking what is asked before anything runs, loads no torch, which takes seconds."""
    question = json.dumps({"locator": asdict(subject.locator), "settings": dict(subject.settings)})
    done = subprocess.run(
        [sys.executable, "-m", "smc_harness.conformance.asked"],
        input=question,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Fault(
            f"loaded in a process of its own, it fails: {(done.stderr.strip() or 'no output').splitlines()[-1]}"
        )
    where = done.stdout.split()[-1]
    if where == "import":
        raise NotApplicableError(
            "its module imports torch, for which every listing waits; importing it in the hooks would be quicker"
        )
    if where != "nothing":
        raise Fault(f"{where}() imports torch, though it is asked before anything runs; plain numbers would work there")


CHECK = Check("light", light, ("declaration",))
