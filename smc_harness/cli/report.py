"""`smc-harness report RUN`: the closing report of a saved run again, or beside what was published, or as a page."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from smc_harness.cli.options import tolerance
from smc_harness.cli.sessions import file_reports
from smc_harness.config import Parser
from smc_harness.errors import ExitCode, UsageError
from smc_harness.report.files import takes_stdout
from smc_harness.verdict.margin import Margin, margin_of
from smc_harness.verdict.rule import Tolerance

if TYPE_CHECKING:
    from smc_harness.report.beside import Panel
    from smc_harness.report.saved import SavedRun

_EPILOG = """\
examples:
  smc-harness report results.json                            what the run said in the end
  smc-harness report 3                                       the same of session 3 of the store
  smc-harness report results.json --markdown table.md        the table of first fails, for people
  smc-harness report results.json --csv cells.csv            a row a cell, for programs
  smc-harness report results.json --published                its curves beside those of its tasks' papers
  smc-harness report results.json --published --tolerance 0.05 --json -
  smc-harness report results.json --html results.html        a page with the tables, the curves and all cells
"""


def parser() -> Parser:
    """The parser of `smc-harness report`."""
    parser = Parser(
        prog="smc-harness report",
        description="Show a saved run again.",
        epilog=_EPILOG,
    )
    add = parser.add_argument
    add("run", metavar="RUN", help="a file that --json wrote, or the number of a session that `list runs` names")
    add("--store", default=".smc-harness", metavar="DIR", help="the store whose sessions have these numbers")
    add("--published", action="store_true", help="put the run beside the curves that were published of its tasks")
    add("--tolerance", type=tolerance, action="append", metavar="[TASKS=]X", help="with --published: the largest drop "
        "that passes, for both, as in a run (default: the run's)")  # fmt: skip
    add("--collect", action="append", default=[], metavar="PATH", help="with --published or --html: where a task of "
        "the run is that is not installed")  # fmt: skip
    add("--json", metavar="FILE", help="with --published: write both curves as JSON; -: to standard output")
    add("--html", metavar="FILE", help="write the run as a page to look at, too, one file")
    for report in file_reports():
        report.addoption(parser)
    return parser


def main(arguments: Sequence[str]) -> int:
    """Returns the exit code. Raises UsageError."""
    reports = file_reports()
    options = parser().parse_args(list(arguments))
    for name in ("tolerance", "collect", "json"):
        partner = options.published or (name == "collect" and options.html is not None)
        if getattr(options, name) not in (None, []) and not partner:
            raise UsageError(f"--{name} goes with --published{' or --html' * (name == 'collect')}")

    for report in reports:
        report.check(options)

    from smc_harness.report.saved import find

    run = find(options.run, Path(options.store))
    if options.html is not None:
        _page(run, options)
    for report in reports:
        report.write(run, options, sys.stdout)
    return _published(run, options) if options.published else _closing(run, options)


def _closing(run: SavedRun, options: argparse.Namespace) -> ExitCode:
    from smc_harness.report.tables import closing
    from smc_harness.report.terminal import new_console

    if not run.results:
        print("no cells", file=sys.stderr)
        return ExitCode.NOTHING
    if not takes_stdout(options):
        closing(new_console(options), run, run.results)
    return ExitCode.DONE


def _page(run: SavedRun, options: argparse.Namespace) -> None:
    """With the published curves of the tasks that are installed here or collected. Raises UsageError, PluginError."""
    from smc_harness.discovery.catalogue import discover
    from smc_harness.discovery.loading import load
    from smc_harness.report.html_file import check, write

    check(options.html)
    known = discover([Path(path) for path in options.collect]).known("task")
    write(options.html, run, [load(known[name]) for name in run.tasks if name in known])


def _published(run: SavedRun, options: argparse.Namespace) -> ExitCode:
    from smc_harness.report.beside_tables import show
    from smc_harness.report.json_file import SCHEMA, write
    from smc_harness.report.terminal import new_console

    margins = {name: margin_of(name, options.tolerance or [], run.tolerance(name)) for name in run.tasks}
    panels = _panels(run, margins, [Path(path) for path in options.collect])
    if options.json is not None:
        tasks = {panel.task: panel.to_json() for panel in panels}
        write(options.json, {"schema": SCHEMA, "tasks": tasks}, sys.stdout)
    if not takes_stdout(options):
        for panel in panels:
            show(new_console(options), run, panel)
    if not panels:
        print(f"nothing was published of the tasks of this run: {', '.join(run.tasks)}", file=sys.stderr)
    return ExitCode.DONE if panels else ExitCode.NOTHING


def _panels(run: SavedRun, margins: Mapping[str, Margin], collect: Sequence[Path]) -> list[Panel]:
    """Raises UsageError, PluginError."""
    from smc_harness.discovery.catalogue import discover
    from smc_harness.discovery.loading import load
    from smc_harness.report.beside import panel

    known = discover(collect).known("task")
    if missing := [name for name in run.tasks if name not in known]:
        raise UsageError(f"task {missing[0]} is not installed here; --collect with the place of its plugin would work")
    found = [panel(run, load(known[name]), Tolerance(margins[name])) for name in run.tasks]
    return [item for item in found if item is not None]
