"""Asking about a plugin in a process of its own: one that has not loaded torch, or that may break down."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from smc_harness.conformance.subject import Subject

SECONDS = 300.0
"""How long an answer is waited for: many times what loading torch from a slow disk takes."""


class NoAnswerError(Exception):
    """What became of a process that gave no answer. crashed: whether a signal ended it, which no Python code could."""

    def __init__(self, what: str, crashed: bool = False) -> None:
        super().__init__(what)
        self.crashed = crashed


def ask(module: str, subject: Subject, folder: Path, **environment: str) -> str:
    """What `python -m MODULE QUESTION ANSWER` writes into the file ANSWER, as whatever is printed is the plugin's own.

    QUESTION: the plugin's place and settings, as JSON. folder: where the file is. environment: what is other there.
    Raises NoAnswerError.
    """
    question = json.dumps({"locator": asdict(subject.locator), "settings": dict(subject.settings)})
    answer, errors = folder / "answer", folder / "errors"
    command = [sys.executable, "-m", module, question, str(answer)]
    # into a file: a pipe would be open for as long as a process that the plugin leaves behind
    with errors.open("wb") as stream:
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stream,
                env={**os.environ, **environment},
                timeout=SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise NoAnswerError(
                f"in a process of its own, it has not come to an end after {SECONDS:g} s; a module that only declares "
                "what it is, and hooks that wait for nothing, would work"
            ) from error
    if answer.exists():
        return answer.read_text(encoding="utf-8")
    if done.returncode < 0:
        raise NoAnswerError(signal.Signals(-done.returncode).name, crashed=True)
    said = errors.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    raise NoAnswerError(
        f"loaded in a process of its own, it fails: {said[-1] if said else f'exit code {done.returncode}'}"
    )
