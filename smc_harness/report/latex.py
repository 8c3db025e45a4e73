r"""`--latex FILE`: the table of first fails as a tabular for a paper (`\usepackage{booktabs}`)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from smc_harness.cells import visible
from smc_harness.report.files import FileReport

if TYPE_CHECKING:
    from smc_harness.report.saved import SavedRun

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    # not active, whatever babel makes of it
    '"': r"{\char34}",
    "`": r"{\char96}",
    # two of them are another character
    "'": "'{}",
    "-": "-{}",
    # behind a line's end they would belong to it
    "[": "{[}",
    "*": "{*}",
} | {c: f"\\{c}" for c in "{}$&#_%"}
_LAST = "\u017f"
"""The end of the Latin letters that every LaTeX sets; of others the code is shown."""


def document(run: SavedRun) -> str:
    """The tabular, with the legend as comments."""
    from smc_harness.report.tables import by_phase, dense_scores, explained, told
    from smc_harness.verdict.first_fail import first_fails

    lines = told(run.results)
    tasks = list(dict.fromkeys(task for _, task in lines))
    rows = [
        _row(
            [
                escape(pruner),
                escape(phase),
                *[_stack(line.text for line in lines.get((pruner, task), [])) for task in tasks],
            ]
        )
        for pruner, phase in by_phase(run.results).items()
    ]
    found = [
        "% first fail: (last pass, first fail]",
        *(f"% {visible(line)}" for line in explained(run, first_fails(run.results))),
        rf"\begin{{tabular}}{{ll{'l' * len(tasks)}}}",
        r"\toprule",
        _row(["pruner", "phase", *map(escape, tasks)]),
        r"\midrule",
        _row(["dense", "", *[_stack(dense_scores(run, run.results, task)) for task in tasks]]),
        r"\midrule",
        *rows,
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(found) + "\n"


def escape(text: str) -> str:
    """Text that LaTeX sets as it is, on one line."""
    return "".join(_SPECIAL.get(c, c if c <= _LAST else rf"\texttt{{U+{ord(c):04X}}}") for c in visible(text))


def _stack(lines: Iterable[str]) -> str:
    """Several lines of one cell above each other."""
    found = list(map(escape, lines))
    if len(found) < 2:
        return "".join(found)
    return r"\shortstack[l]{" + r" \\ ".join(found) + "}"


def _row(words: Iterable[str]) -> str:
    return " & ".join(words) + r" \\"


REPORT = FileReport("latex", "write the table of first fails for LaTeX; -: to standard output", document)
