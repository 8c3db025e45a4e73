"""What we publish conforms; what a check has nothing to say of is known, with the reason."""

from __future__ import annotations

import pytest

from smc_harness.discovery.catalogue import discover
from smc_harness.testing import Outcome, check_pruner, check_task

pytestmark = pytest.mark.slow

PRUNERS = sorted(discover().installed["pruner"])
LIBRARIES = {"llm-compressor": "llmcompressor", "torch-pruning": "torch_pruning"}
EXPLAINED = {
    "it has no compute_scores",
    "it has no parameters",
    "it prunes linear layers only, which are never empty",
    "it has levels of its own",
    "it does not claim nested = True",
    "it draws no random number while it scores and prunes",
}


@pytest.mark.parametrize("name", [name for name in PRUNERS if name != "given"])
def test_a_built_in_pruner_conforms(name: str) -> None:
    if name in LIBRARIES:
        pytest.importorskip(LIBRARIES[name], reason="the library that it runs is an extra")
    report = check_pruner(name)
    assert report.ok, str(report)
    skipped = {result.check: result.reason for result in report.results if result.outcome is Outcome.SKIPPED}
    assert set(skipped.values()) <= EXPLAINED, skipped
    assert len(skipped) <= 4


def test_one_that_needs_a_parameter_says_so() -> None:
    report = check_pruner("given")
    assert report.ok, str(report)
    reasons = {result.reason for result in report.results if result.outcome is Outcome.SKIPPED}
    assert reasons == {"it needs path; --set given.path=VALUE would work"}
    assert [result.check for result in report.results if result.outcome is Outcome.PASSED] == [
        "declaration",
        "parameters",
        "light",
    ]


@pytest.mark.parametrize("name", [name for name in sorted(discover().installed["task"]) if name.endswith("-mini")])
def test_a_mini_task_conforms(name: str) -> None:
    report = check_task(name)
    assert report.ok, str(report)
    assert {result.outcome for result in report.results} == {Outcome.PASSED}


def test_a_task_whose_data_are_missing_says_so() -> None:
    report = check_task("mawps-gts")
    skipped = [result for result in report.results if result.outcome is Outcome.SKIPPED]
    assert report.ok, str(report)
    assert {"--data-dir" in result.reason for result in skipped} == {True}
    assert len(skipped) == len(report.results) - 4
