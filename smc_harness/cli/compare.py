"""`smc-harness compare RUN BASELINE`: whether a saved run is worse or better than a baseline, or than another run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from smc_harness.cli.options import tolerance
from smc_harness.config import Parser
from smc_harness.errors import ExitCode, PluginError

if TYPE_CHECKING:
    from smc_harness.baseline.entries import Entries
    from smc_harness.discovery.loading import Plugin
    from smc_harness.report.saved import SavedRun

_EPILOG = """\
examples:
  smc-harness compare results.json baseline.json       a run with what --update-baseline wrote
  smc-harness compare 7 3                              session 7 of the store with session 3
  smc-harness compare new.json old.json --json -       two runs; everything, for programs

exit codes: 0 nothing got worse beyond tolerance and chance, 1 something did, 4 usage, 5 nothing could be compared
"""


def parser() -> Parser:
    """The parser of `smc-harness compare`."""
    parser = Parser(
        prog="smc-harness compare",
        description="Tell what of a saved run got worse or better than a baseline, beyond chance.",
        epilog=_EPILOG,
    )
    add = parser.add_argument
    add("run", metavar="RUN", help="a file that --json wrote, or the number of a session that `list runs` names")
    add("baseline", metavar="BASELINE", help="a file that --update-baseline wrote, or another RUN")
    add("--store", metavar="DIR", help="the store of the sessions, where the outcomes of their examples are (default: "
        "the run's, else .smc-harness); without these, scores are compared by the errors that the baseline "
        "holds")  # fmt: skip
    add("--tolerance", type=tolerance, action="append", default=[], metavar="[TASKS=]X", help="largest difference that "
        "is neither loss nor gain, as in a run (default: the run's)")  # fmt: skip
    add("--collect", action="append", default=[], metavar="PATH", help="where a task of the run is that is not "
        "installed, for a metric that is no mean")  # fmt: skip
    add("--json", metavar="FILE", help="write the comparison as JSON; -: to standard output")
    return parser


def main(arguments: Sequence[str]) -> int:
    """Returns the exit code. Raises UsageError."""
    options = parser().parse_args(list(arguments))

    from smc_harness.baseline.changes import Change
    from smc_harness.baseline.compare import compare
    from smc_harness.baseline.evidence import Outcomes
    from smc_harness.report.compared import show, summary
    from smc_harness.report.json_file import SCHEMA, write
    from smc_harness.report.saved import find
    from smc_harness.report.terminal import new_console
    from smc_harness.store.artifacts import Artifacts

    sessions = Path(options.store or ".smc-harness")
    run, old = find(options.run, sessions), _baseline(options.baseline, sessions)
    store = Path(options.store or run.option("store") or ".smc-harness")
    outcomes = Outcomes(Artifacts(store / "artifacts"), _tasks([Path(path) for path in options.collect]))
    found = compare(options.baseline, old, _measured(run, options.tolerance), outcomes)
    if options.json is not None:
        write(options.json, {"schema": SCHEMA, **found.to_json()}, sys.stdout)
    if options.json != "-":
        show(new_console(options), found)
        summary(new_console(options), found)
    if len(found.of(Change.UNKNOWN)) == len(found.pairs):
        return ExitCode.NOTHING
    return ExitCode.REGRESSION if found.regressed else ExitCode.DONE


def _baseline(name: str, store: Path) -> Entries:
    from smc_harness.baseline.file import is_baseline, read
    from smc_harness.report.saved import find

    return read(Path(name)) if is_baseline(Path(name)) else _measured(find(name, store))


def _measured(run: SavedRun, tolerances: Sequence[str] = ()) -> Entries:
    """A saved run, as baselines hold it. tolerances: in place of its own."""
    from smc_harness.baseline.entries import entries
    from smc_harness.verdict.margin import margin_of

    device = {"device": run.session.get("machine", {}).get("device")}
    tasks = {
        name: {**about, "tolerance": str(margin_of(name, tolerances, run.tolerance(name)))}
        for name, about in run.tasks.items()
    }
    return entries(run.session.get("versions", {}), {**run.session["options"], **device}, tasks, run.results)


def _tasks(collect: Sequence[Path]) -> Callable[[str], Plugin | None]:
    """Tasks by name; None for one that is not installed here or cannot be loaded. Raises UsageError."""
    from smc_harness.discovery.catalogue import discover
    from smc_harness.discovery.loading import load

    known = discover(collect).known("task")

    @cache
    def task(name: str) -> Plugin | None:
        try:
            return load(known[name]) if name in known else None
        except PluginError:
            return None

    return task
