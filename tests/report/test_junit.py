from __future__ import annotations

import signal
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from lxml import etree

from smc_harness.baseline.changes import Change, Comparison, LevelChange, PairChange
from smc_harness.cells import Cell, CellResult, Judgement, Measurement, Verdict, visible
from smc_harness.report.junit import JUnit, document
from tests.report.hostile import NAMES
from tests.workshop import Ran, Workshop

SCHEMA = etree.XMLSchema(file=str(Path(__file__).with_name("junit.xsd")))
BEGAN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ERRORED = CellResult(
    Cell("t", "p", 0.5, 0), Verdict.ERROR, "accuracy", 0.8, error="ValueError: odd", output="said\n<b>\x1b[1m"
)


def result(
    verdict: Verdict, level: float = 0.2, task: str = "t", pruner: str = "p", cached: bool = False
) -> CellResult:
    measured = Measurement(0.75, 100, 2.5, realised=level, diagnosis=["a constant prediction"])
    return CellResult(Cell(task, pruner, level, 0), verdict, "accuracy", 0.8125, measured, cached)


def read(text: str | bytes) -> Any:
    root = etree.fromstring(text.encode() if isinstance(text, str) else text)
    SCHEMA.assertValid(root)
    for one in root:
        for count, outcome in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert int(one.get(count)) == len(one.findall(f"testcase/{outcome}"))
        assert int(one.get("tests")) == len(one.findall("testcase"))
    return root


def written(*results: CellResult, strict: bool = False, comparison: Comparison | None = None) -> Any:
    return read(document(results, BEGAN, strict, comparison))


def outcome(result: CellResult, strict: bool = False) -> tuple[str, str] | None:
    (found,) = written(result, strict=strict).iter("testcase")
    return (found[0].tag, found[0].get("message")) if len(found) else None


def test_a_suite_is_a_task_and_a_test_case_a_cell() -> None:
    root = written(result(Verdict.PASS), result(Verdict.PASS, task="u"), result(Verdict.FAIL, 0.5))
    assert [(one.get("name"), one.get("tests"), one.get("time")) for one in root] == [
        ("t", "2", "5.000"),
        ("u", "1", "2.500"),
    ]
    case = root[0].find("testcase")
    assert (case.get("classname"), case.get("name"), case.get("time")) == ("t::p", "t::p[0.2,seed0]", "2.500")
    assert root[0].get("timestamp") == "2026-01-02T03:04:05"


def test_a_pruner_that_fails_is_a_passed_test_whose_verdict_is_in_the_output() -> None:
    root = written(result(Verdict.FAIL))
    assert root.find(".//failure") is None
    assert root.findtext(".//system-out") == "t::p[0.2,seed0] FAIL accuracy 0.75, dense 0.8125 (a constant prediction)"


@pytest.mark.parametrize("verdict", [Verdict.FAIL, Verdict.INCONCLUSIVE])
def test_under_strict_it_is_a_failure_as_the_exit_code_is(verdict: Verdict) -> None:
    assert outcome(result(verdict), strict=True) == ("failure", "accuracy 0.75, dense 0.8125")
    assert written(result(verdict), strict=True).findtext(".//failure") == "a constant prediction"


def test_what_supports_a_verdict_is_said() -> None:
    judged = CellResult(
        Cell("t", "p", 0.5, 0), Verdict.INCONCLUSIVE, "accuracy", 0.8, Measurement(0.79, 100, 1.0, realised=0.5),
        judgement=Judgement(Verdict.INCONCLUSIVE, -0.01, 0.03, 4000),
    )  # fmt: skip
    expected = "inconclusive: accuracy 0.79, dense 0.8, drop -0.0100 to 0.0300, about 4000 examples would tell"
    assert outcome(judged) == ("skipped", expected)


def test_an_error_is_an_error_with_what_the_plugins_printed() -> None:
    assert outcome(ERRORED) == ("error", "ValueError: odd")
    assert written(ERRORED).findtext(".//error") == "said\n<b>\\x1b[1m"


def test_skipped_and_not_run_say_why() -> None:
    skipped = CellResult(Cell("t", "p", 0.5, 0), Verdict.SKIPPED, "accuracy", error="only linear layers")
    assert outcome(skipped) == ("skipped", "skipped: only linear layers")
    spared = CellResult(Cell("t", "p", 0.5, 0), Verdict.NOT_RUN, "accuracy")
    assert outcome(spared) == ("skipped", "not-run: the search had not asked for it when the run ended")


def test_the_time_is_what_this_run_computed() -> None:
    (case,) = written(result(Verdict.PASS, cached=True)).iter("testcase")
    assert case.get("time") == "0.000"


def test_a_regression_against_the_baseline_is_a_failure() -> None:
    worse = LevelChange(0.36, (0,), Change.REGRESSION, 0.81, 0.76, 2000, (0.041, 0.059), True)
    pairs = [
        PairChange("t::p", "t", "p", Change.REGRESSION, [worse], []),
        PairChange("t::q", "t", "q", Change.WITHIN, [], []),
    ]
    root = written(result(Verdict.PASS), comparison=Comparison("b.json", pairs=pairs))
    beside = root[1]
    assert (beside.get("name"), beside.get("failures"), beside.get("tests")) == ("beside b.json", "1", "2")
    assert beside.find(".//failure").get("message").startswith("REGRESSION t::p at 0.36: 0.81 -> 0.76 (worse by")


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_any_name_and_any_error_are_text(name: str, strict: bool) -> None:
    results = [
        result(Verdict.FAIL, task=name, pruner=name),
        CellResult(Cell(name, "p", 0.5, 0), Verdict.ERROR, name, error=visible(name), output=name),
        CellResult(Cell("t", name, 0.5, 0), Verdict.SKIPPED, "accuracy", error=visible(name)),
    ]
    root = written(*results, strict=strict)
    assert {element.tag for element in root.iter()} <= {
        "testsuites", "testsuite", "properties", "testcase", "failure", "error", "skipped", "system-out", "system-err"
    }  # fmt: skip
    assert [case.get("name") for case in root.iter("testcase")] == [one.cell.id for one in results]


def running(folder: Path) -> tuple[JUnit, Path, Any]:
    path = folder / "j.xml"
    session: Any = SimpleNamespace(
        config=SimpleNamespace(stash={"stdout": None}, options=SimpleNamespace(update_baseline=False)), comparison=None
    )
    writer = JUnit(str(path), strict=False)
    writer.session_started(session)
    return writer, path, session


def test_while_it_runs_the_file_is_a_whole_document_after_every_cell(tmp_path: Path) -> None:
    writer, path, session = running(tmp_path)
    results = [result(Verdict.PASS, task=name) for name in NAMES] + [ERRORED]
    assert len(read(path.read_bytes())) == 0
    for count, one in enumerate(results, 1):
        writer.cell_finished(one)
        assert [case.get("name") for case in read(path.read_bytes()).iter("testcase")] == [
            result.cell.id for result in results[:count]
        ]
    writer.session_finished(session, results)
    assert [one.get("name") for one in read(path.read_bytes())][-1] == "t"


def test_a_cell_costs_what_it_is_long_not_what_the_file_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer, path, _ = running(tmp_path)
    before = path.stat()
    for level in range(300):
        writer.cell_finished(result(Verdict.PASS, level / 1000))
    after = path.stat()
    assert after.st_ino == before.st_ino  # it was not written anew
    assert len(list(read(path.read_bytes()).iter("testcase"))) == 300


def test_a_killed_run_leaves_a_valid_file_with_every_cell_it_had_reported(workshop: Workshop) -> None:
    workshop.toy()
    workshop.pruner("mine")
    words = ("--collect", "plugins", "-n", "1", "--search", "grid", "--junit", "j.xml")
    stopped = workshop.stop(signal.SIGKILL, 3, *words)
    assert stopped.code == -signal.SIGKILL
    found = {case.get("name") for case in read((workshop.folder / "j.xml").read_bytes()).iter("testcase")}
    assert set(stopped.finished) <= found
    assert len(stopped.finished) >= 3


def test_a_run_writes_the_cells_in_their_order(command: Callable[..., Ran], workshop: Workshop) -> None:
    workshop.toy()
    workshop.pruner("mine")
    ran = command("--collect", "plugins", "--levels", "0.2,0.97,0.99", "-n", "0", "--junit", "j.xml", "--strict")
    assert ran.code == 1
    cases = list(read((workshop.folder / "j.xml").read_bytes()).iter("testcase"))
    assert [case.get("name") for case in cases] == [f"toy::mine[{level},seed0]" for level in (0.2, 0.97, 0.99)]
    assert [[child.tag for child in case] for case in cases] == [[], ["failure"], ["skipped"]]


@pytest.mark.parametrize("target", ["", ".", "-", "nowhere/j.xml"])
def test_a_place_that_cannot_be_written_is_refused_before_the_run(command: Callable[..., Ran], target: str) -> None:
    ran = command("--tasks", "commonsense-mini", "--co", "--junit", target)
    assert (ran.code, ran.err) == (4, f"smc-harness: --junit {target}: a file in a folder that exists would work\n")
