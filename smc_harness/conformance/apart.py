"""What a pruner chooses in a process of its own, asked from here."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors.torch import load_file
from torch import Tensor

from smc_harness.conformance.own_process import NoAnswerError, ask

if TYPE_CHECKING:
    from smc_harness.conformance.subject import Subject

HERE, THERE = "here.safetensors", "there.safetensors"
"""The files with the masks, beside the answer."""


@dataclass(frozen=True)
class Apart:
    """Of a process in which the hash of a text is another one than in this.

    here: the mask on the CPU. there: the mask on another device. Both are empty where it did not get so far, for the
    reason in `skipped`, or in `fault`. exact: whether the device computes as the CPU does, to the bit. drawn: whether
    random numbers were drawn there by a generator that has no equal on the CPU.
    """

    here: Mapping[str, Tensor] = field(default_factory=dict)
    there: Mapping[str, Tensor] = field(default_factory=dict)
    skipped: str = ""
    fault: str = ""
    exact: bool = True
    drawn: bool = False


def chosen_apart(subject: Subject) -> Apart:
    """Ask it. The process may die of the device: what it wrote before that is given."""
    other = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            said = json.loads(ask("smc_harness.conformance.chosen", subject, folder, PYTHONHASHSEED=other))
        except NoAnswerError as error:
            said = {"fault": str(error)}
            if error.crashed and (folder / HERE).exists():
                said = {"skipped": f"cannot be told here: the process that tried was ended by {error}"}
        here, there = (load_file(folder / file) if (folder / file).exists() else {} for file in (HERE, THERE))
    return Apart(here, there, **said)
