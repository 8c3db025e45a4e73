from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from smc_harness.baseline.entries import Point, Precision
from smc_harness.baseline.evidence import Outcomes
from smc_harness.baseline.file import read, text_of
from smc_harness.baseline.reference import Reference
from smc_harness.errors import UsageError
from smc_harness.store.artifacts import Artifacts
from tests.baseline.making import entry, keyed, point


class Counting(Outcomes):
    """Knows the error of every score, and how often it was asked."""

    def __init__(self) -> None:
        super().__init__(Artifacts(Path("nowhere")), lambda name: None)
        self.asked = 0

    def precision(self, task: str, point: Point) -> Precision | None:
        self.asked += 1
        return Precision(0.02, 100)


def opened(path: Path, update: bool = True) -> Reference:
    found = Reference.of(str(path), update)
    assert found is not None
    return found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "b.json"


MEASURED = entry([point(0.8, error=None, key="aa")])


def test_a_file_that_is_not_there_is_no_baseline_yet(path: Path) -> None:
    assert opened(path).entries is None
    assert opened(path.parent / "nowhere" / "b.json", update=False).entries is None
    assert not opened(path).compare({}, Counting()).there


def test_nothing_is_asked_for_where_there_is_no_option() -> None:
    assert Reference.of(None, update=False) is None
    with pytest.raises(UsageError, match="--update-baseline goes with --baseline FILE"):
        Reference.of(None, update=True)


def test_an_update_adds_the_errors_of_the_scores_once(path: Path) -> None:
    outcomes = Counting()
    assert opened(path).update(keyed(MEASURED), outcomes)
    assert read(path) == keyed(replace(MEASURED, points=[replace(MEASURED.points[0], precision=Precision(0.02, 100))]))
    assert not opened(path).update(keyed(MEASURED), outcomes)
    assert outcomes.asked == 1


def test_what_another_run_wrote_meanwhile_stays(path: Path) -> None:
    reference = opened(path)
    other = entry([point(0.5)], pruner="other")
    path.write_text(text_of(keyed(other)))
    assert reference.update(keyed(MEASURED), Counting())
    assert set(read(path)) == {("t", "p"), ("t", "other")}
    assert read(path)["t", "other"] == other


def test_a_file_that_cannot_be_written_is_one_line(path: Path) -> None:
    reference = opened(path)
    path.mkdir()
    with pytest.raises(UsageError, match="--baseline .*b.json: a file in a folder that exists would work"):
        reference.update(keyed(MEASURED), Counting())
