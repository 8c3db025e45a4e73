"""Where GitHub runs it (GITHUB_ACTIONS=true): annotations of what went wrong, and the table as the job's summary.

GitHub takes a line of the log that begins with `::` for a command, and so would obey a plugin of such a name. Until all
else is told, it takes no commands.
"""

from __future__ import annotations

import atexit
import os
import sys
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

from smc_harness.cells import CellResult, Verdict, visible
from smc_harness.errors import one_line
from smc_harness.hookspecs import hookimpl
from smc_harness.report.files import of_session

if TYPE_CHECKING:
    from smc_harness.config import Config
    from smc_harness.session import Session

_SHOWN = 10
"""Annotations that GitHub shows of a step."""
_LONGEST = 2**20 - 2**10
"""Bytes of a step's summary; GitHub refuses one of more than 1 MiB."""


@hookimpl(tryfirst=True)
def configure(config: Config) -> None:
    if os.environ.get("GITHUB_ACTIONS") == "true":
        config.pluginmanager.register(GitHub(), "github-writer")


class GitHub:
    """Speaks to GitHub when the run has ended, and keeps all else from speaking to it before."""

    def __init__(self) -> None:
        self.stream = sys.stdout
        import secrets

        self.token = secrets.token_hex(16)
        self._command("stop-commands", self.token)
        atexit.register(self._resume)  # whatever ends the run, the step's own commands are taken again

    @hookimpl(trylast=True)
    def session_finished(self, session: Session, results: Sequence[CellResult]) -> None:
        if not results:
            return  # nothing was computed
        found = list(complaints(session, results))
        if len(found) > _SHOWN:
            more = f"{len(found) - _SHOWN + 1} more; the log and the reports have them all"
            found[_SHOWN - 1 :] = [("smc-harness", more)]
        self._resume()
        for title, message in found:
            self._command("error", message, title)
        if place := os.environ.get("GITHUB_STEP_SUMMARY"):
            try:
                append(Path(place), summary(session, results))
            except OSError as error:
                self._command("warning", f"no summary of the job: {one_line(error)}", "smc-harness")

    def _resume(self) -> None:
        """Take commands again: the name of this one only we know."""
        if self.token:
            self._command(self.token, "")
        self.token = ""

    def _command(self, name: str, message: str, title: str = "") -> None:
        properties = f" title={_property(title)}" if title else ""
        print(f"::{name}{properties}::{_data(message)}", file=self.stream, flush=True)


def complaints(session: Session, results: Sequence[CellResult]) -> Iterator[tuple[str, str]]:
    """A title and a message of all that the exit code speaks of: regressions, errors, under --strict failures."""
    from smc_harness.baseline.changes import Change
    from smc_harness.report.compared import line
    from smc_harness.report.junit import scored
    from smc_harness.report.tables import by_reason, together

    options = session.config.options
    if session.comparison is not None and not options.update_baseline:
        for pair in session.comparison.of(Change.REGRESSION):
            yield pair.id, line(pair).plain
    for group in by_reason(results, Verdict.ERROR):
        yield group[0].cell.id, f"ERROR {together(group)}: {group[0].error}"
    if options.strict:
        for result in results:
            if result.verdict in (Verdict.FAIL, Verdict.INCONCLUSIVE):
                yield result.cell.id, f"{result.verdict.value.upper()} {scored(result)}"


def summary(session: Session, results: Sequence[CellResult]) -> str:
    """The run in Markdown, and what it says beside its baseline."""
    from smc_harness.report.compared import told
    from smc_harness.report.markdown import code, document, escape

    text = f"### smc-harness\n\n{document(of_session(session, results))}"
    if session.comparison is not None:
        lines = [f"- {escape(line.plain)}" for line in told(session.comparison, session.config.options.update_baseline)]
        heading = f"beside {code(session.comparison.baseline)}"
        text += "\n".join(["", heading, "", *(lines or ["- nothing got worse or better"]), ""])
    return text


def append(place: Path, text: str) -> None:
    """To the summary of the step, whose later lines are left out where it would be too long. Raises OSError."""
    free = _LONGEST - (place.stat().st_size if place.exists() else 0)
    lines = text.encode().splitlines(keepends=True)
    kept = list(accumulate(map(len, lines)))
    fitting = bisect_right(kept, free)
    with place.open("ab") as file:
        file.writelines(lines[:fitting])
        if fitting < len(lines):
            file.write(b"\nThe rest is too long for a summary; --markdown has it all.\n")


def _data(text: str) -> str:
    """On one line; what does not print is escaped, as in Python."""
    return visible(text).replace("%", "%25")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
