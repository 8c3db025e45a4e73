"""Reading word problems from the layouts in which they are published."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from smc_tasks.arithmetic.expressions import value_of
from smc_tasks.arithmetic.files import convert, read_problems

from smc_harness.errors import UsageError

HEADER = "Question,Numbers,Equation,Answer,group_nums,Body\n"
ROW = '"Mary wants number0 cups , not number1 .",8.0 2.0,- number0 number1,6,"[1, 2]",None\n'


def test_csv_rows_become_problems(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    path.write_text(HEADER + ROW)
    (problem,) = read_problems(path, "mawps")
    assert problem.identifier == "mawps-0"
    assert problem.words == ("mary", "wants", "number0", "cups", ",", "not", "number1", ".")
    assert (problem.numbers, problem.equation, problem.answer) == ((8.0, 2.0), ("-", "number0", "number1"), 6.0)


def test_gzipped_and_plain_files_read_the_same(tmp_path: Path) -> None:
    plain, packed = tmp_path / "a.csv", tmp_path / "a.csv.gz"
    plain.write_text(HEADER + ROW)
    packed.write_bytes(gzip.compress((HEADER + ROW).encode()))
    assert read_problems(plain, "p") == read_problems(packed, "p")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("a number0 b,5,+ number0,5\n", "not in prefix notation"),
        ("a number0 b,5 6,number0,5\n", "2 numbers"),
        ("a number0 b,5,+ number0 number1,5\n", "uses number1"),
        ("a number0 b,five,number0,5\n", "five"),
        ('" ",,2.0,2\n', "empty"),
    ],
)
def test_a_row_that_is_no_problem_is_named(tmp_path: Path, row: str, reason: str) -> None:
    path = tmp_path / "train.csv"
    path.write_text("Question,Numbers,Equation,Answer\n" + row)
    with pytest.raises(UsageError, match=f"problem 1: .*{reason}"):
        read_problems(path, "p")


def test_a_file_with_other_columns_says_which_one_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    path.write_text("Question,Answer\nwhat ?,1\n")
    with pytest.raises(UsageError, match="no column 'Numbers'"):
        read_problems(path, "p")


@pytest.mark.parametrize("text", ["", HEADER, "\x00\x01"])
def test_a_file_without_problems_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "train.csv"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"train\.csv"):
        read_problems(path, "p")


RECORD = {
    "ID": "chal-1",
    "Body": "Each of 2 shops sold 1,500.5 kg and 2 bags",
    "Question": "How many in 3 days?",
    "Equation": "( ( 2.0 * 1500.5 ) + 7.0 )",
    "Answer": 3008.0,
}


def test_real_numbers_in_the_text_become_numbered() -> None:
    problem = convert(RECORD, "svamp-1")
    assert problem.numbers == (2.0, 1500.5, 2.0, 3.0)
    assert " ".join(problem.words) == (
        "each of number0 shops sold number1 kg and number2 bags , how many in number3 days ?"
    )


def test_the_converted_equation_has_the_value_of_the_original() -> None:
    problem = convert(RECORD, "svamp-1")
    assert problem.equation == ("+", "*", "number0", "number1", "7.0")
    assert value_of(problem.equation, problem.numbers) == problem.answer


def test_a_value_that_occurs_twice_takes_each_place_once() -> None:
    record = {**RECORD, "Body": "2 cats and 2 dogs.", "Equation": "( 2.0 + 2.0 )", "Answer": 4.0}
    assert convert(record, "x").equation == ("+", "number0", "number1")


def test_the_hub_layout_is_read_from_json(tmp_path: Path) -> None:
    path = tmp_path / "SVAMP.json.gz"
    path.write_bytes(gzip.compress(json.dumps([RECORD]).encode()))
    assert read_problems(path, "svamp") == [convert(RECORD, "svamp-chal-1")]


def test_json_without_an_equation_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "SVAMP.json"
    path.write_text(json.dumps([{"ID": "1", "Body": "", "Question": "", "Answer": 1}]))
    with pytest.raises(UsageError, match="no column 'Equation'"):
        read_problems(path, "p")


def test_a_json_equation_that_is_none_is_named(tmp_path: Path) -> None:
    path = tmp_path / "SVAMP.json"
    path.write_text(json.dumps([{**RECORD, "Equation": "( 2.0 +"}]))
    with pytest.raises(UsageError, match="problem 1: not an expression"):
        read_problems(path, "p")
