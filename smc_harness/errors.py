"""Errors that people see, and the exit codes of the command line."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

LIMITATIONS = "docs/explanation/limitations.md"
_MET = {
    "CUDA out of memory": "one-gpu",
    "does not have a deterministic implementation": "repeatable-on-a-gpu",
    "the MPS framework doesn't support float64": "apple-gpus",
}
"""What torch says where a known limitation is met, and the section on it."""


class ExitCode(IntEnum):
    """What `smc-harness` returns to the shell."""

    DONE = 0
    """The run is complete. A pruner that fails at some level is a result, not an error."""
    REGRESSION = 1
    """Worse than the baseline; or with --strict: some cell failed or was inconclusive. Of `store check`: damage."""
    INTERRUPTED = 2
    """Stopped by Ctrl-C."""
    INTERNAL = 3
    """A defect of the harness itself."""
    USAGE = 4
    """The command line, the configuration, a plugin's declaration, or the store cannot be used."""
    NOTHING = 5
    """Nothing was collected, or every cell was skipped."""
    CELL_ERROR = 6
    """Some cells ended in error."""
    PLUGIN = 7
    """A plugin failed to load, under --strict-plugins."""


class HarnessError(Exception):
    """Base of all errors that are reported in one line, without a traceback."""


class UsageError(HarnessError):
    """The user asked for something that cannot be done. One line: what was given, what would work."""


class PluginError(HarnessError):
    """A plugin breaks the contract. One line: which plugin, which hook, what was given, what would work."""


class StoreError(HarnessError):
    """The store cannot be read or written. One line: where, why, what would work."""


class LeakError(PluginError):
    """A pruned weight is not zero."""


def nearest(word: str, candidates: Iterable[str]) -> str:
    """`; did you mean 'x'?` for the candidate nearest to `word`, or an empty string."""
    import difflib

    found = difflib.get_close_matches(word, list(candidates), n=1, cutoff=0.5)
    return f"; did you mean {found[0]!r}?" if found else ""


def limitation(anchor: str) -> str:
    """`; see docs/explanation/limitations.md#one-gpu`: for an error that meets a known limitation."""
    return f"; see {LIMITATIONS}#{anchor}"


def one_line(error: BaseException) -> str:
    """The error's type and message on one line, with the limitation that a message of torch tells of."""
    text = " ".join(str(error).split())
    if isinstance(error, HarnessError):
        return text
    met = next((limitation(anchor) for words, anchor in _MET.items() if words in text), "")
    return f"{type(error).__name__}: {text}{met}" if text else type(error).__name__
