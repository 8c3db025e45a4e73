"""Reports that are files: refused before the run where they cannot be written, and whole or not there."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from smc_harness.documents.writing import is_place_for_a_file, write_whole
from smc_harness.errors import UsageError
from smc_harness.hookspecs import hookimpl

if TYPE_CHECKING:
    from smc_harness.cells import CellResult
    from smc_harness.config import Config
    from smc_harness.report.saved import SavedRun
    from smc_harness.session import Session

STANDARD_OUTPUT = "-"
_TO_STANDARD_OUTPUT = ("json", "markdown", "latex", "csv")
"""Options that take it for a file: they write text, once."""


class FileReport:
    """A session plugin `--NAME FILE` that writes what `content` makes of a run; `smc-harness report` has it as well."""

    place = "FILE"

    def __init__(self, name: str, help: str, content: Callable[[SavedRun], str | bytes]) -> None:
        self.name, self.help, self.content = name, help, content

    @hookimpl
    def addoption(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(f"--{self.name}", metavar=self.place, help=self.help)

    @hookimpl
    def configure(self, config: Config) -> None:
        self.check(config.options)

    @hookimpl(trylast=True)  # one that cannot be written costs neither the terminal's tables nor the JSON
    def session_finished(self, session: Session, results: Sequence[CellResult]) -> None:
        if getattr(session.config.options, self.name) is not None:
            self.write(of_session(session, results), session.config.options, session.config.stash["stdout"])

    def check(self, options: argparse.Namespace) -> None:
        """Raise UsageError where the report could not be written."""
        check(self.name, getattr(options, self.name))

    def write(self, run: SavedRun, options: argparse.Namespace, stdout: TextIO) -> None:
        """Where the options say, if they do. Raises UsageError."""
        target = getattr(options, self.name)
        if target is not None:
            put(self.name, target, self.content(run), stdout)


def of_session(session: Session, results: Sequence[CellResult]) -> SavedRun:
    """The run that just ended as it will be read back."""
    from smc_harness.report.json_file import to_object
    from smc_harness.report.saved import of

    return of(to_object(session, results))


def check(option: str, target: str | None) -> None:
    """Raise UsageError for a target where no file can be written."""
    if target is None or (target == STANDARD_OUTPUT and option in _TO_STANDARD_OUTPUT):
        return
    if target == STANDARD_OUTPUT or not is_place_for_a_file(Path(target)):
        raise UsageError(f"--{option} {target}: a file in a folder that exists would work")


def put(option: str, target: str, content: str | bytes, stdout: TextIO) -> None:
    """To a file, whole or not at all, or to `stdout` for `-`. Raises UsageError if it cannot be written."""
    if target == STANDARD_OUTPUT and isinstance(content, str):
        stdout.write(content)
        return
    try:
        write_whole(Path(target), content)
    except OSError as error:
        raise UsageError(f"--{option} {target}: {error.strerror or error}") from error


def takes_stdout(options: argparse.Namespace) -> bool:
    """Whether a program reads standard output, so that nothing else may go there. Raises UsageError if two reports
    want it.
    """
    given = [name for name in _TO_STANDARD_OUTPUT if getattr(options, name, None) == STANDARD_OUTPUT]
    if len(given) > 1:
        raise UsageError(f"--{given[0]} - and --{given[1]} -: one of them to a file would work")
    return bool(given)
