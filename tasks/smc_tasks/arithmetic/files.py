"""Reading word problems from the files of the SVAMP repository and of the hub.

MAWPS, ASDiv-A and SVAMP come as CSV with the columns Question, Numbers, Equation (prefix) and Answer. The original
`SVAMP.json` (as on the hub) has real numbers in its text and an infix equation; it is converted to the same schema.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from smc_harness.errors import UsageError
from smc_tasks.arithmetic.expressions import is_well_formed, number_index, prefix_from_infix
from smc_tasks.arithmetic.problems import Problem

CSV_COLUMNS = ("Question", "Numbers", "Equation", "Answer")
RELATED = "group_nums"
"""An optional column: places of the words around each number and in the question."""
JSON_KEYS = ("ID", "Body", "Question", "Equation", "Answer")
_WORD = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?|[a-z]+(?:'[a-z]+)?|[^\sa-z\d]")


def read_problems(path: Path, prefix: str) -> list[Problem]:
    """All problems of a CSV or JSON file, gzipped or not, in order.

    prefix: the first part of the identifiers. Raises UsageError, in one line that names file and row, where the file
    has other columns or a row that is no problem.
    """
    rows = _json_rows(path, prefix) if ".json" in path.name else _csv_rows(path, prefix)
    problems = []
    for number, problem in enumerate(rows, start=1):
        reason = _defect(problem)
        if reason:
            raise UsageError(f"{path}: problem {number}: {reason}")
        problems.append(problem)
    if not problems:
        raise UsageError(f"{path}: no problems in this file; expected rows with {', '.join(CSV_COLUMNS)}")
    return problems


def _csv_rows(path: Path, prefix: str) -> Iterator[Problem]:
    import pandas

    # Every cell is read as text: pandas would turn the question part "None" or "NA" into a missing value.
    try:
        frame = pandas.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be read as CSV ({error})") from error
    _require(path, CSV_COLUMNS, frame.columns)
    related = frame[RELATED].tolist() if RELATED in frame.columns else [None] * len(frame)
    columns = (frame[name].tolist() for name in CSV_COLUMNS)
    for index, (question, numbers, equation, answer, near) in enumerate(zip(*columns, related, strict=True)):
        try:
            values = tuple(float(number) for number in numbers.split())
            result = float(answer)
        except ValueError as error:
            raise UsageError(f"{path}: problem {index + 1}: {error}") from error
        # Lower case, since SVAMP asks in lower case what its training data asks in mixed case.
        words = tuple(question.lower().split())
        places = tuple(map(int, re.findall(r"-?\d+", near))) if near is not None else None
        yield Problem(f"{prefix}-{index}", words, values, tuple(equation.split()), result, places)


def _json_rows(path: Path, prefix: str) -> Iterator[Problem]:
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8") as file:
            records = json.load(file)
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be read as JSON ({error})") from error
    for index, record in enumerate(records):
        _require(path, JSON_KEYS, record)
        try:
            yield convert(record, f"{prefix}-{record['ID']}")
        except ValueError as error:
            raise UsageError(f"{path}: problem {index + 1}: {error}") from error


def convert(record: dict[str, Any], identifier: str) -> Problem:
    """A record with real numbers in its text and an infix equation, in the internal schema.

    Every number in the text becomes `number<k>`. A number of the equation is the first number of the text with its
    value that the equation has not used yet (the first of all when it was), else a constant.
    Raises ValueError if the equation is not an expression or the answer is not a number.
    """
    body = str(record["Body"]).strip()
    text = f"{body} {record['Question']}" if body.endswith((".", ",", "?", "!")) else f"{body} , {record['Question']}"
    words: list[str] = []
    values: list[float] = []
    for word in _WORD.findall(text.lower()):
        if word[0].isdigit():
            words.append(f"number{len(values)}")
            values.append(float(word.replace(",", "")))
        else:
            words.append(word)
    unused = list(range(len(values)))
    infix: list[str] = []
    for symbol in re.findall(r"\d+(?:\.\d+)?|[-+*/()]", str(record["Equation"])):
        if not symbol[0].isdigit():
            infix.append(symbol)
            continue
        value = float(symbol)
        matches = [k for k in unused if values[k] == value] or [k for k, v in enumerate(values) if v == value]
        if matches and matches[0] in unused:
            unused.remove(matches[0])
        infix.append(f"number{matches[0]}" if matches else str(value))
    return Problem(identifier, tuple(words), tuple(values), prefix_from_infix(infix), float(record["Answer"]))


def _require(path: Path, names: Sequence[str], present: Any) -> None:
    missing = [name for name in names if name not in present]
    if missing:
        raise UsageError(f"{path}: no column {missing[0]!r}; expected {', '.join(names)}")


def _defect(problem: Problem) -> str | None:
    """Why a row is no problem, or None."""
    if not problem.words:
        return "the question is empty"
    if not is_well_formed(problem.equation):
        return f"the equation {' '.join(problem.equation)!r} is not in prefix notation"
    present = {index for index in map(number_index, problem.words) if index is not None}
    if present != set(range(len(problem.numbers))):
        return f"{len(problem.numbers)} numbers, but the question has {len(present)} different ones"
    used = {index for index in map(number_index, problem.equation) if index is not None}
    if not used <= present:
        return f"the equation uses number{max(used)}, the question does not"
    return None
