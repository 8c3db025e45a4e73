"""`--markdown FILE`: the table of first fails and what went wrong, for a README, an issue or the summary of a job.

What plugins call themselves, and what they say, stands in code spans: there a name is text, whatever it holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from smc_harness.cells import CellResult, Verdict, visible
from smc_harness.report.files import FileReport

if TYPE_CHECKING:
    from smc_harness.report.saved import SavedRun

_PLAIN = frozenset(" -.,:;=()[]/_")
"""Punctuation that means nothing in a code span of a table."""
_MEANT = re.compile(r"[^\w .,:;()\]%+?=/'-]|_|:(?! )")
"""Punctuation that may mean something in a line that begins otherwise."""


def document(run: SavedRun) -> str:
    """The table, its legend, and errors and skip reasons with the number of cells that each cost."""
    from smc_harness.report.tables import counts

    if not run.results:
        return "no cells\n"
    summary = ", ".join(words for _, words in counts(run.results))
    interrupted = " - interrupted" if run.interrupted else ""
    return "\n".join([*table(run), *_problems(run.results), f"{summary}{interrupted}", ""])


def table(run: SavedRun) -> Iterator[str]:
    """Pruners x tasks: (last pass, first fail], with the dense score above."""
    from smc_harness.report.tables import by_phase, dense_scores, explained, told
    from smc_harness.verdict.first_fail import first_fails

    lines = told(run.results)
    tasks = list(dict.fromkeys(task for _, task in lines))
    if not tasks:
        return
    yield _row(["pruner", "phase", *map(code, tasks)])
    yield _row(["---"] * (2 + len(tasks)))
    yield _row(["dense", "", *["<br>".join(map(escape, dense_scores(run, run.results, task))) for task in tasks]])
    for pruner, phase in by_phase(run.results).items():
        shown = ["<br>".join(escape(line.text) for line in lines.get((pruner, task), [])) for task in tasks]
        yield _row([code(pruner), escape(phase), *shown])
    yield ""
    yield "first fail: (last pass, first fail]"
    yield ""
    for line in explained(run, first_fails(run.results)):
        yield f"- {escape(line)}"
    yield ""


def _problems(results: Sequence[CellResult]) -> Iterator[str]:
    from smc_harness.report.tables import by_reason, together

    groups = [(verdict, group) for verdict in (Verdict.ERROR, Verdict.SKIPPED) for group in by_reason(results, verdict)]
    for verdict, group in groups:
        yield f"- {verdict.value.upper()} {code(together(group))}: {code(group[0].error or '')}"
    if groups:
        yield ""


def code(text: str) -> str:
    """A code span that shows the text as it is. What could end it or mean something in a table is a character code."""
    shown = visible(text)
    if shown and shown == shown.strip() and all(c.isalnum() or c in _PLAIN for c in shown):
        return f"`{shown}`"
    return f"<code>{''.join(c if c.isalnum() or c == ' ' else f'&#{ord(c)};' for c in shown)}</code>"


def escape(text: str) -> str:
    """Text of ours, in which the name of a task or the unit of a metric may stand."""
    return _MEANT.sub(lambda found: f"&#{ord(found[0])};", visible(text))


def _row(words: Iterable[str]) -> str:
    return f"| {' | '.join(words)} |"


REPORT = FileReport("markdown", "write the table of first fails as Markdown; -: to standard output", document)
