from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from smc_harness.cells import Measurement
from smc_harness.execution.about import about
from smc_harness.verdict.margin import USUAL
from tests.toys import plugin


def dense(seed: int, value: float | None, *files: tuple[str, str]) -> Any:
    measured = None if value is None else Measurement(value, 100, 1.0)
    return SimpleNamespace(seed=seed, measurement=measured, floor=0.5, options=SimpleNamespace(files=files))


TASK = plugin("task", "t", SimpleNamespace(metric="accuracy", unit="fraction"))


def test_scores_are_told_by_seed_and_on_average() -> None:
    found = about(TASK, [dense(0, 0.9), dense(1, 0.8), dense(2, None)], USUAL)
    assert (found["dense_by_seed"], round(found["dense"], 9)) == ({0: 0.9, 1: 0.8, 2: None}, 0.85)
    assert (found["n"], found["higher_is_better"], found["params"]) == (100, True, {})
    assert found["tolerance"] == "0.01"


def test_data_are_told_by_what_is_in_the_files_of_each_seed() -> None:
    assert about(TASK, [dense(0, 0.9)], USUAL)["data"] is None
    first, same, other = (
        about(TASK, [dense(0, 0.9, ("train", digest))], USUAL)["data"] for digest in ("aa", "aa", "bb")
    )
    assert first == same != other
    assert set(about(TASK, [dense(0, 0.9, ("fold0", "aa")), dense(1, 0.9, ("fold1", "bb"))], USUAL)["data"]) == {0, 1}
