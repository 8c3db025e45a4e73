from __future__ import annotations

import re

import pytest

from smc_harness.cells import Cell, CellResult, Measurement, Verdict, visible
from smc_harness.report.latex import document, escape
from smc_harness.report.saved import of
from tests.report.hostile import NAMES
from tests.report.saving import saved

SAYS = {
    "textbackslash": "\\", "textasciicircum": "^", "textasciitilde": "~", "textless": "<", "textgreater": ">",
    "textbar": "|", "char34": '"', "char96": "`",
}  # fmt: skip


def written(*results: CellResult) -> str:
    return document(of(saved(results)))


def result(verdict: Verdict, task: str = "t", pruner: str = "p", level: float = 0.2, seed: int = 0) -> CellResult:
    measured = Measurement(0.75, 100, 2.5, realised=level)
    return CellResult(Cell(task, pruner, level, seed, "after"), verdict, "accuracy", 0.8125, measured)


def typeset(text: str) -> str:
    """What LaTeX sets, of the few commands that we use; anything else it would take for a command is refused."""
    text = re.sub(r"\\texttt\{U\+([0-9A-F]+)\}", lambda code: chr(int(code[1], 16)), text)
    found = ""
    while text:
        if command := re.match(r"\\(text[a-z]+)\{\}|\{\\(char[0-9]+)\}", text):
            found += SAYS[command[1] or command[2]]
        elif command := re.match(r"\\([{}$&#_%])|\{([\[*])\}|([-'])\{\}", text):
            found += command[1] or command[2] or command[3]
        else:
            command = re.match(r"[^\\{}$&#_%^~\"`<>|\[*'-]", text)
            assert command, f"LaTeX would not set {text[:9]!r} as it is"
            found += command[0]
        text = text[command.end() :]
    return found


def test_the_table_is_that_of_the_terminal() -> None:
    text = written(result(Verdict.PASS), result(Verdict.FAIL, level=0.36), result(Verdict.PASS, "u"))
    assert [line for line in text.splitlines() if not line.startswith("%")] == [
        r"\begin{tabular}{llll}",
        r"\toprule",
        r"pruner & phase & t & u \\",
        r"\midrule",
        r"dense &  & 81.25 \% & 81.25 \% \\",
        r"\midrule",
        r"p & after & (0.2, 0.36] & none up to 0.2 \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]


def test_several_lines_of_a_cell_stand_above_each_other() -> None:
    text = written(result(Verdict.PASS), result(Verdict.FAIL, level=0.36), result(Verdict.FAIL, seed=1))
    assert r"p & after & \shortstack[l]{(-{}, 0.2] \\ 0.2 to 0.36, 2 seeds} \\" in text.splitlines()


@pytest.mark.parametrize("name", [*NAMES, "".join(map(chr, range(32, 0x180))), "--- ''' ``` \"\" ?` [2pt] *"])
def test_any_name_is_text(name: str) -> None:
    assert typeset(escape(name)) == visible(name)
    assert "\n" not in escape(name)


@pytest.mark.parametrize("name", NAMES)
def test_names_are_escaped_wherever_they_stand(name: str) -> None:
    text = written(result(Verdict.FAIL, name, name))
    assert text.count(escape(name)) >= 2
    assert len(text.splitlines()) == 10


def test_every_character_by_itself_is_text() -> None:
    for number in range(0x3000):
        assert typeset(escape(chr(number))) == visible(chr(number))
