"""`smc-harness check NAME|PATH`: whether a pruner or a task keeps to what every one of them is held to."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from smc_harness.cells import visible
from smc_harness.collection.choose import read_settings
from smc_harness.config import Parser
from smc_harness.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from smc_harness.conformance.check import Checked, Examination

_EPILOG = """\
examples:
  smc-harness check my_pruner.py                       the plugins of a file
  smc-harness check snip gmp                           installed ones
  smc-harness check my_pruner.py --set mine.batches=2  with a parameter
  smc-harness check mine --expect 'nested=scores are drawn anew at each level'
  smc-harness check mine --json -                      everything, for programs

exit codes: 0 all conform, 1 a check failed, or passed that was expected to fail, 4 usage
"""


def parser() -> Parser:
    """The parser of `smc-harness check`."""
    parser = Parser(
        prog="smc-harness check",
        description="Hold pruners and tasks to what every one of them is held to.",
        epilog=_EPILOG,
    )
    add = parser.add_argument
    add("what", nargs="+", metavar="NAME|PATH", help="an installed pruner or task, or a file or folder with some")
    add("--set", action="append", default=[], metavar="NAME.PARAM=VALUE", help="a parameter of one of them")
    add("--expect", action="append", default=[], metavar="CHECK=REASON", help="a check that fails, and why it may; "
        "where it passes, that is an error")  # fmt: skip
    add("--data-dir", metavar="DIR", help="for tasks: the folder of their data files")
    add("--model-dir", metavar="DIR", help="for tasks: the folder of their checkpoints")
    add("--json", metavar="FILE", help="write everything as JSON; -: to standard output")
    return parser


def main(arguments: Sequence[str]) -> int:
    """Returns the exit code. Raises UsageError."""
    options = parser().parse_args(list(arguments))

    from smc_harness.report.files import check as check_place
    from smc_harness.report.json_file import SCHEMA, write
    from smc_harness.report.terminal import new_console

    check_place("json", options.json)
    console = new_console(options)
    reports = []
    for place, examination in _examinations(options):
        _show(console, place, examination)
        reports.append(examination.report())
    if options.json is not None:
        write(options.json, {"schema": SCHEMA, "reports": [report.as_json() for report in reports]}, sys.stdout)
    return ExitCode.DONE if all(report.ok for report in reports) else ExitCode.REGRESSION


def _examinations(options: argparse.Namespace) -> Iterator[tuple[str, Examination]]:
    from smc_harness.conformance.examine import examination
    from smc_harness.conformance.find import find

    expected = {}
    for text in options.expect:
        check, equals, reason = text.partition("=")
        if not (check and equals and reason):
            raise UsageError(f"--expect {text}: something like 'nested=scores are drawn anew' would work")
        expected[check] = reason
    settings = read_settings(options.set)
    locators = [locator for what in options.what for locator in find(what)]
    if unused := settings.keys() - {locator.name for locator in locators}:
        raise UsageError(f"--set {min(unused)}: it is not checked; {locators[0].name} is")
    for locator in locators:
        yield (
            locator.source,
            examination(locator, expected, settings.get(locator.name), options.data_dir, options.model_dir),
        )


def _show(console: Console, place: str, examination: Examination) -> None:
    """A line for each check as soon as it is made, then the counts and the badge."""
    from rich.text import Text

    subject = examination.subject
    console.print(Text.assemble((visible(subject.name), "bold"), f"  {subject.kind}, {place}"))
    width = max(map(len, examination.checks))
    seconds = 0.0
    for found in examination.results():
        seconds += found.seconds
        console.print(Text.assemble(f"  {found.check:{width}}  ", *_told(found)))
    report = examination.report()
    console.print(Text(f"{report.summary} in {seconds:.1f} s", style="green" if report.ok else "red"))
    console.print(Text(f"{report.badge}\n"))


_STYLES = {"passed": "green", "failed": "red", "unexpected pass": "red"}


def _told(found: Checked) -> Iterator[tuple[str, str]]:
    """The outcome, and the reason; of one that measured something, the figures."""
    outcome = found.outcome.value
    yield outcome if found.outcome.conforms else outcome.upper(), _STYLES.get(outcome, "yellow")
    if found.reason:
        yield f": {found.reason}", ""
    if found.figures:
        yield ": " + ", ".join(f"{value:,.0f} {name}".replace(",", " ") for name, value in found.figures.items()), "dim"
