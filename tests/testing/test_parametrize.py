"""The checks as tests of pytest, in a project of an author."""

from __future__ import annotations

import pytest

FAULTY = """
from smc_harness import hookimpl

name, phase, description = "mine", "after", "magnitude"
nested = True

@hookimpl
def compute_scores(model, context):
    model.train()
    return {n: p.detach().abs() for n, p in context.prunable(model)}
"""

TESTS = """
import mine
from smc_harness.testing import parametrize_with_checks

@parametrize_with_checks(mine, expected_failures={expected})
def test_conforms(check):
    check()
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makepyfile(mine=FAULTY)
    pytester.makeini("[pytest]\npythonpath = .\nfilterwarnings = error\n")
    return pytester


def test_each_check_is_a_test_that_passes_fails_or_is_skipped_with_the_reason(project: pytest.Pytester) -> None:
    project.makepyfile(test_mine=TESTS.format(expected={}))
    ran = project.runpytest_subprocess("-rsf", "-k", "mode or exact-count or seed or parameters")
    ran.assert_outcomes(passed=2, failed=1, skipped=2)
    ran.stdout.fnmatch_lines(
        [
            "*Every module is in the mode, training or eval, in which the hook found it.",
            "*compute_scores leaves the model in training mode; model.train(mode) with the old one would work",
            "SKIPPED*it has no parameters",
            "FAILED test_mine.py::test_conforms[[]mine-mode[]]*",
        ]
    )


def test_a_failure_that_is_expected_is_an_xfail_with_both_reasons(project: pytest.Pytester) -> None:
    project.makepyfile(test_mine=TESTS.format(expected={"mode": "it is quicker so"}))
    ran = project.runpytest_subprocess("-rx", "-k", "mine-mode")
    ran.assert_outcomes(xfailed=1)
    ran.stdout.fnmatch_lines(["XFAIL*mine-mode*it is quicker so (compute_scores leaves the model in training mode;*"])


def test_a_pass_that_was_not_expected_fails(project: pytest.Pytester) -> None:
    project.makepyfile(test_mine=TESTS.format(expected={"mask": "it has none"}))
    ran = project.runpytest_subprocess("-k", "mine-mask")
    ran.assert_outcomes(failed=1)
    ran.stdout.fnmatch_lines(["*it was expected to fail: it has none"])


def test_an_expectation_of_no_check_ends_the_collection(project: pytest.Pytester) -> None:
    project.makepyfile(test_mine=TESTS.format(expected={"mod": "it is quicker so"}))
    ran = project.runpytest_subprocess()
    ran.stdout.fnmatch_lines(["*no check named 'mod'; did you mean 'mode'*"])
    assert ran.ret == pytest.ExitCode.INTERRUPTED
