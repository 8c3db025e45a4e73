"""What comes of a check, and what the report makes of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from smc_harness.conformance.check import Check, Examination, Fault, NotApplicableError, NotReadyError, Outcome
from smc_harness.conformance.subject import Subject
from smc_harness.discovery.loading import Locator
from smc_harness.errors import UsageError

SUBJECT = Subject(Locator("pruner", "mine", "inline"))


def passes(subject):
    """It holds."""


def fails(subject):
    """It does not hold."""
    raise Fault("seen this; that would work")


def has_nothing_to_say(subject):
    """It is about something else."""
    raise NotApplicableError("there is none")


def is_not_ready(subject):
    """It waits."""
    raise NotReadyError("it needs a path")


def breaks(subject):
    """It does not get so far."""
    raise ZeroDivisionError("division by zero")


def measures(subject):
    """It is measured."""
    return {"bytes a weight": 4.0}


def outcomes(*checks: Check, expected: dict[str, str] | None = None) -> list[tuple[str, str]]:
    results = Examination(SUBJECT, checks, expected).results()
    return [(result.outcome.value, result.reason) for result in results]


def test_the_outcomes_are_told_with_their_reasons() -> None:
    checks = [Check("one", passes), Check("two", fails), Check("three", has_nothing_to_say), Check("four", breaks)]
    assert outcomes(*checks) == [
        ("passed", ""),
        ("failed", "seen this; that would work"),
        ("skipped", "there is none"),
        ("failed", "ZeroDivisionError: division by zero"),
    ]


def test_an_expected_failure_gives_both_reasons() -> None:
    assert outcomes(Check("one", fails), expected={"one": "by design"}) == [
        ("expected failure", "by design (seen this; that would work)")
    ]


def test_a_pass_that_was_not_expected_does_not_conform() -> None:
    examination = Examination(SUBJECT, [Check("one", passes)], {"one": "by design"})
    assert examination.settle("one").outcome is Outcome.UNEXPECTED
    assert not examination.report().ok


def test_an_expectation_of_no_check_is_refused() -> None:
    with pytest.raises(UsageError, match="no check named 'ome'; did you mean 'one'"):
        Examination(SUBJECT, [Check("one", passes)], {"ome": "by design"})


def test_what_needs_a_check_that_failed_is_skipped_and_so_is_what_needs_that() -> None:
    checks = [Check("one", fails), Check("two", passes, ("one",)), Check("three", passes, ("two",))]
    assert outcomes(*checks)[1:] == [("skipped", "nothing can be said before 'one' passes")] * 2


def test_what_needs_a_check_that_has_nothing_to_say_is_made() -> None:
    assert outcomes(Check("one", has_nothing_to_say), Check("two", passes, ("one",)))[1] == ("passed", "")


def test_what_needs_a_check_that_is_not_ready_is_skipped_for_its_reason() -> None:
    assert outcomes(Check("one", is_not_ready), Check("two", passes, ("one",)))[1] == ("skipped", "it needs a path")


def test_a_check_asked_for_alone_is_made_after_those_that_it_needs_and_only_once() -> None:
    made = []
    checks = [
        Check("one", lambda subject: made.append("one")),
        Check("two", lambda subject: made.append("two"), ("one",)),
    ]
    examination = Examination(SUBJECT, checks)
    examination.settle("two")
    examination.settle("one")
    assert made == ["one", "two"]


def test_settings_that_a_check_changes_do_not_reach_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    import torch

    seen = []

    def spoil(subject):
        torch.set_default_dtype(torch.float64)
        os.environ["SMC_SPOILT"] = "1"

    checks = [
        Check("one", spoil),
        Check("two", lambda subject: seen.append((torch.get_default_dtype(), os.environ.get("SMC_SPOILT")))),
    ]
    assert outcomes(*checks) == [("passed", "")] * 2
    assert seen == [(torch.float32, None)]


def test_the_report_counts_and_says_it_to_programs() -> None:
    checks = [Check("one", measures), Check("two", fails), Check("three", has_nothing_to_say)]
    report = Examination(SUBJECT, checks).report()
    told = json.loads(json.dumps(report.as_json()))
    assert told["counts"] == {
        "run": 2,
        "passed": 1,
        "failed": 1,
        "skipped": 1,
        "expected failure": 0,
        "unexpected pass": 0,
    }
    assert (told["plugin"], told["kind"], told["ok"]) == ("mine", "pruner", False)
    assert told["results"][0]["figures"] == {"bytes a weight": 4.0}
    assert told["results"][1]["promise"] == "It does not hold."


def test_the_badge_is_a_line_of_markdown_that_says_the_counts() -> None:
    report = Examination(SUBJECT, [Check("one", passes), Check("two", has_nothing_to_say)]).report()
    version = report.harness
    assert report.badge == (
        f"![smc-harness {version}: 1 passed, 1 skipped]"
        f"(https://img.shields.io/badge/smc--harness%20{version}-1%20passed%2C%201%20skipped-brightgreen)"
    )
    assert "-red)" in Examination(SUBJECT, [Check("one", fails)]).report().badge


def test_the_text_of_a_report_names_what_does_not_conform() -> None:
    report = Examination(SUBJECT, [Check("one", passes), Check("two", fails)]).report()
    assert str(report) == "mine: 1 passed, 1 failed\ntwo: failed: seen this; that would work"


def test_a_check_finds_the_files_of_the_working_directory_and_leaves_no_other_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "table.txt").write_text("read me")
    monkeypatch.chdir(tmp_path)

    def reads_and_writes(subject):
        Path("copy.txt").write_text(Path("table.txt").read_text())

    assert outcomes(Check("one", reads_and_writes)) == [("passed", "")]
    assert [path.name for path in tmp_path.iterdir()] == ["table.txt"]
    assert Path.cwd() == tmp_path


def test_a_check_computes_on_one_thread_as_workers_do_however_many_there_are() -> None:
    import torch

    before, seen = torch.get_num_threads(), []
    torch.set_num_threads(2)
    try:
        outcomes(Check("look", lambda subject: seen.append(torch.get_num_threads())))
        assert (seen, torch.get_num_threads()) == ([1], 2)
    finally:
        torch.set_num_threads(before)
