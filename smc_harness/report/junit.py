"""`--junit FILE`: a test suite a task, a test case a cell, as the servers of continuous integration read them.

The file agrees with the exit code. A pruner that fails is a result, so its cell is a passed test whose verdict stands
in the suite's output; `--strict` makes it a failure. A cell that ended in error is an error; one that was skipped, not
needed or undecided is skipped, with the reason. A (task, pruner) that got worse than the baseline is a failure in a
suite of its own, unless the baseline is written anew.
"""

from __future__ import annotations

import argparse
import platform
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from smc_harness.cells import CellResult, Verdict, visible
from smc_harness.hookspecs import hookimpl
from smc_harness.report.files import check, put

if TYPE_CHECKING:
    from smc_harness.baseline.changes import Comparison
    from smc_harness.config import Config
    from smc_harness.session import Session

_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n'
_TAIL = "</testsuites>\n"
_NOT_RUN = "the search had not asked for it when the run ended"
_LONGEST = 20_000
"""Characters of what a plugin printed, of which the last are kept: servers refuse files that are too long."""


@hookimpl
def addoption(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--junit", metavar="FILE", help="write the results as JUnit XML, a cell as soon as it is done")


@hookimpl
def configure(config: Config) -> None:
    check("junit", config.options.junit)
    if config.options.junit is not None and not config.options.collect_only:
        config.pluginmanager.register(JUnit(config.options.junit, config.options.strict), "junit-writer")


@dataclass(frozen=True)
class Case:
    """One test case. outcome: `failure`, `error`, `skipped`, or empty where it passed. output: a line on it."""

    classname: str
    name: str
    seconds: float
    outcome: str = ""
    kind: str = ""
    message: str = ""
    details: str = ""
    output: str = ""


class JUnit:
    """Writes the file: after every cell it is a whole document with all cells so far, each in a suite of its own.

    A new cell is written over the closing tag, with the tag behind it, in one go: a file of thousands of cells is not
    written thousands of times, and a run that is killed leaves what it had. In the end the suites are the tasks.
    """

    def __init__(self, target: str, strict: bool) -> None:
        self.target, self.strict = target, strict
        self.began = datetime.now(UTC)
        self.end = self.count = 0

    @hookimpl
    def session_started(self, session: Session) -> None:
        put("junit", self.target, _HEAD + _TAIL, session.config.stash["stdout"])
        self.end = len(_HEAD.encode())

    @hookimpl(tryfirst=True)  # before anybody sees that the cell is done
    def cell_finished(self, result: CellResult) -> None:
        text = suite(self.count, result.cell.task, [case(result, self.strict)], self.began).encode()
        with Path(self.target).open("r+b", buffering=0) as file:
            file.seek(self.end)
            file.write(text + _TAIL.encode())
        self.end, self.count = self.end + len(text), self.count + 1

    @hookimpl
    def session_finished(self, session: Session, results: Sequence[CellResult]) -> None:
        accepted = session.config.options.update_baseline
        text = document(results, self.began, self.strict, None if accepted else session.comparison)
        put("junit", self.target, text, session.config.stash["stdout"])


def document(
    results: Iterable[CellResult], began: datetime, strict: bool = False, comparison: Comparison | None = None
) -> str:
    """All cells, by task, and what a comparison with a baseline found. began: when the run did, in UTC."""
    suites: dict[str, list[Case]] = {}
    for result in results:
        suites.setdefault(result.cell.task, []).append(case(result, strict))
    named = list(suites.items())
    if comparison is not None and comparison.pairs:
        named.append((f"beside {comparison.baseline}", list(_compared(comparison))))
    elements = [suite(index, name, cases, began) for index, (name, cases) in enumerate(named)]
    return "".join([_HEAD, *elements, _TAIL])


def case(result: CellResult, strict: bool) -> Case:
    """The test case of a cell."""
    from smc_harness.report.tables import short

    cell, verdict = result.cell, result.verdict
    outcome = {Verdict.ERROR: "error", Verdict.SKIPPED: "skipped", Verdict.NOT_RUN: "skipped"}.get(verdict, "")
    if verdict in (Verdict.FAIL, Verdict.INCONCLUSIVE):
        outcome = "failure" if strict else "skipped" if verdict is Verdict.INCONCLUSIVE else ""
    message = result.error or (_NOT_RUN if verdict is Verdict.NOT_RUN else scored(result))
    return Case(
        classname=f"{cell.task}::{cell.pruner}",
        name=cell.id,
        seconds=result.measurement.seconds if result.measurement and not result.cached else 0.0,
        outcome=outcome,
        kind=verdict.value,
        message=message,
        details="\n".join(result.diagnosis) or result.output[-_LONGEST:],
        output=f"{cell.id} {verdict.value.upper()} {message}"
        + (f" ({short(result.diagnosis)})" * bool(result.diagnosis)),
    )


def scored(result: CellResult) -> str:
    """`accuracy 0.76, dense 0.81, drop 0.0412 to 0.0588`."""
    from smc_harness.report.terminal import support

    if result.value is None or result.dense is None:
        return ""
    parts = [f"{result.metric} {result.value:.4g}", f"dense {result.dense:.4g}", support(result.judgement)]
    return ", ".join(part for part in parts if part) + (", cached" if result.cached else "")


def _compared(comparison: Comparison) -> Iterator[Case]:
    from smc_harness.baseline.changes import Change
    from smc_harness.report.compared import STYLES, line

    for pair in comparison.pairs:
        told = line(pair).plain if pair.change in STYLES else f"{pair.change.value.upper()} {pair.id}"
        worse = "failure" if pair.change is Change.REGRESSION else ""
        yield Case("baseline", pair.id, 0.0, worse, pair.change.value, told, output=told)


def suite(index: int, name: str, cases: Sequence[Case], began: datetime) -> str:
    """The element of a test suite, with all that the stricter of the schemas in use asks for."""
    counts = {outcome: sum(case.outcome == outcome for case in cases) for outcome in ("failure", "error", "skipped")}
    about = {
        "name": name,
        "package": name,
        "id": index,
        "tests": len(cases),
        "failures": counts["failure"],
        "errors": counts["error"],
        "skipped": counts["skipped"],
        "time": f"{sum(case.seconds for case in cases):.3f}",
        "timestamp": began.strftime("%Y-%m-%dT%H:%M:%S"),
        "hostname": platform.node() or "localhost",
    }
    output = _text("\n".join(case.output for case in cases))
    lines = [f"<testsuite{_attributes(about)}>", "<properties/>", *map(_element, cases)]
    return "\n".join([*lines, f"<system-out>{output}</system-out>", "<system-err/>", "</testsuite>", ""])


def _element(case: Case) -> str:
    opening = f"<testcase{_attributes({'classname': case.classname, 'name': case.name, 'time': f'{case.seconds:.3f}'})}"
    if not case.outcome:
        return f"{opening}/>"
    about = _attributes({"type": case.kind, "message": case.message})
    if case.outcome == "skipped":  # which has no type
        about = _attributes({"message": f"{case.kind}: {case.message}"})
    return f"{opening}><{case.outcome}{about}>{_text(case.details)}</{case.outcome}></testcase>"


def _attributes(values: dict[str, object]) -> str:
    from xml.sax.saxutils import quoteattr  # which imports an HTTP client

    return "".join(f" {name}={quoteattr(_token(str(value)))}" for name, value in values.items())


def _token(text: str) -> str:
    """On one line; a name that is but a space, which would read as none, in quotes."""
    return repr(text) if text and not text.strip() else visible(text)


def _text(text: str) -> str:
    """What XML cannot hold is escaped as Python does; lines remain."""
    from xml.sax.saxutils import escape

    return escape("\n".join(visible(line) for line in text.split("\n")))
