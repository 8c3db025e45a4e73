"""The run as a page for people, one file, where `--html` says."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from smc_harness.documents.writing import is_place_for_a_file, write_whole
from smc_harness.errors import PluginError, UsageError
from smc_harness.hookspecs import hookimpl

if TYPE_CHECKING:
    from smc_harness.cells import CellResult
    from smc_harness.config import Config
    from smc_harness.discovery.loading import Plugin
    from smc_harness.report.saved import SavedRun
    from smc_harness.session import Session


@hookimpl
def addoption(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--html", metavar="FILE", help="write the results as a page to look at, one file")


@hookimpl
def configure(config: Config) -> None:
    if config.options.html is not None:
        check(config.options.html)


@hookimpl
def session_finished(session: Session, results: Sequence[CellResult]) -> None:
    target = session.config.options.html
    if target is not None:
        from smc_harness.report.json_file import to_object
        from smc_harness.report.saved import of

        write(target, of(to_object(session, results)), session.collection.tasks.values())


def check(target: str) -> None:
    """Refuse a place that cannot be written, and a page that cannot be made, before the run. Raises UsageError."""
    if not is_place_for_a_file(Path(target)):
        raise UsageError(f"--html {target}: a file in a folder that exists would work")
    if find_spec("vl_convert") is None:
        raise UsageError(
            f"--html {target}: vl-convert-python is not installed; pip install 'smc-harness[html]' would work"
        )


def write(target: str, run: SavedRun, tasks: Iterable[Plugin]) -> None:
    """The page of a run, whole or not at all. tasks: those whose published curves are laid over. Raises UsageError."""
    from smc_harness.report.page.render import render
    from smc_harness.report.published import Curves, published

    curves: dict[str, Curves] = {}
    for task in tasks:
        try:
            if found := published(task):
                curves[task.name] = found
        except PluginError as error:  # the page is worth more than the overlay
            print(f"smc-harness: {error}; the page goes without its published curves", file=sys.stderr)
    try:
        write_whole(Path(target), render(run, curves))
    except OSError as error:
        raise UsageError(f"--html {target}: {error.strerror or error}") from error
