"""The command line. The first word selects a subcommand; running is the default one."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from smc_harness.errors import ExitCode, HarnessError, one_line

COMMANDS = {
    "run": "run",
    "list": "listing",
    "report": "report",
    "compare": "compare",
    "check": "check",
    "new": "new",
    "prune": "prune",
    "store": "store",
}
"""Each with its module, which has `parser` and `main`."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code. Whatever goes wrong is one line on standard error."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    command, rest = (words[0], words[1:]) if words and words[0] in COMMANDS else ("run", words)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name may hold what the terminal's encoding lacks
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _run(command, rest)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # the reader of our output is gone: nobody is left to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.DONE
    except HarnessError as error:
        print(f"smc-harness: {one_line(error)}", file=sys.stderr)
        return ExitCode.USAGE
    except KeyboardInterrupt:
        print("smc-harness: interrupted", file=sys.stderr)
        return ExitCode.INTERRUPTED
    except Exception as error:
        if "--debug" in rest:
            raise
        print(f"smc-harness: internal error: {one_line(error)} (--debug shows the traceback)", file=sys.stderr)
        return ExitCode.INTERNAL


def _run(command: str, rest: Sequence[str]) -> int:
    # a command imports what it needs, and only that
    code: int = import_module(f"smc_harness.cli.{COMMANDS[command]}").main(rest)
    return code
