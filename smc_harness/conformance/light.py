"""Whether a plugin can be listed and planned without torch, asked in a process that has not loaded it."""

from __future__ import annotations

import tempfile
from pathlib import Path

from smc_harness.conformance.check import Check, Fault, NotApplicableError
from smc_harness.conformance.own_process import NoAnswerError, ask
from smc_harness.conformance.subject import Subject


def light(subject: Subject) -> None:
    """Listing it, and asking what is asked before anything runs, loads no torch, which takes seconds."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            where = ask("smc_harness.conformance.asked", subject, Path(folder))
        except NoAnswerError as error:
            ended = "loaded in a process of its own, it is ended by " if error.crashed else ""
            raise Fault(f"{ended}{error}") from error
    if where == "import":
        raise NotApplicableError(
            "its module imports torch, for which every listing waits; importing it in the hooks would be quicker"
        )
    if where != "nothing":
        raise Fault(f"{where}() imports torch, though it is asked before anything runs; plain numbers would work there")


CHECK = Check("light", light, ("declaration",))
