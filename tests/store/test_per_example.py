"""Outcomes are kept with their measurement, and the names of the examples once."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from smc_harness import Outcomes
from smc_harness.cells import Measurement
from smc_harness.execution.evidence import answers_of
from smc_harness.store import per_example
from smc_harness.store.artifacts import Artifacts
from smc_harness.store.results import Results

IDS, GROUPS = [f"question {number}" for number in range(500)], [f"page {number // 5}" for number in range(500)]


class Shop:
    """A store in which outcomes are kept as a session does it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.results = folder, Results(folder)
        self.artifacts = Artifacts(folder / "artifacts")

    def keep(self, key: str, outcomes: Outcomes, dense: str | None) -> int:
        """The size of what is kept."""
        per_example.hand_over(self.artifacts, key, outcomes, dense, {"history": []})
        blob = self.artifacts.pending.pop(key)
        measured = Measurement(value=1.0, n=len(outcomes), seconds=0.0, outcomes=key)
        self.results.keep(key, "task", None, None, 0, measured, blob)
        return len(blob)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def outcomes(ids: list[str] | None = IDS, groups: list[str] | None = GROUPS) -> Outcomes:
    return Outcomes((torch.arange(500) % 3 == 0).float(), ids=ids, groups=groups)


def test_names_are_written_with_the_dense_model_alone(shop: Shop) -> None:
    dense, cell = shop.keep("dense", outcomes(), None), shop.keep("cell", outcomes(), "dense")
    assert cell < dense / 3
    found = [answers_of(Artifacts(shop.folder / "artifacts"), key) for key in ("dense", "cell")]
    assert [list(answers.ids) for answers in found] == [IDS, IDS]
    assert [list(answers.groups) for answers in found] == [GROUPS, GROUPS]


@pytest.mark.parametrize(("ids", "groups"), [(IDS[::-1], GROUPS), (IDS, GROUPS[::-1]), (IDS, None), (None, None)])
def test_other_names_are_written_with_the_cell(shop: Shop, ids: list[str] | None, groups: list[str] | None) -> None:
    shop.keep("dense", outcomes(), None)
    shop.keep("cell", outcomes(ids, groups), "dense")
    found = answers_of(shop.artifacts, "cell")
    assert found is not None
    expected = ids or [str(number) for number in range(500)]
    assert list(found.ids) == expected and list(found.groups) == (groups or expected)


def test_without_a_dense_model_in_the_store_the_names_are_written(shop: Shop) -> None:
    shop.keep("cell", outcomes(), "gone")
    assert answers_of(shop.artifacts, "cell") is not None


def test_outcomes_whose_names_are_gone_are_none_until_they_are_back(shop: Shop) -> None:
    shop.keep("dense", outcomes(), None)
    shop.keep("cell", outcomes(), "dense")
    shop.results.drop("dense")
    assert answers_of(Artifacts(shop.folder / "artifacts"), "cell") is None
    shop.keep("dense", outcomes(), None)
    assert answers_of(Artifacts(shop.folder / "artifacts"), "cell") is not None
