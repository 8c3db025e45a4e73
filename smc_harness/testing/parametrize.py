"""`parametrize_with_checks`: the checks of the conformance kit as tests of pytest, one each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from smc_harness.conformance.check import Examination, Outcome
from smc_harness.conformance.examine import examination
from smc_harness.conformance.find import find
from smc_harness.errors import UsageError


def parametrize_with_checks(
    plugins: Any,
    expected_failures: Mapping[str, str] | None = None,
    parameters: Mapping[str, Any] | None = None,
    data_dir: str | Path | None = None,
    model_dir: str | Path | None = None,
) -> pytest.MarkDecorator:
    """Give a test its argument `check`, once for each check of each plugin; the test calls it: `check()`.

    plugins: one or a list, each as for `check_pruner`. The other arguments are as there, and hold for all of them.
    A check that has nothing to say is skipped, one that fails as expected is an xfail, both with the reason. Raises
    UsageError where there is no such plugin, or an expectation is of no check.
    """
    if isinstance(plugins, set | frozenset):
        raise UsageError("plugins is a set, whose order differs between processes; a list would work")
    given = list(plugins) if isinstance(plugins, list | tuple) else [plugins]
    found = []
    for locator in [locator for item in given for locator in find(item)]:
        whole = examination(locator, expected_failures, parameters, data_dir, model_dir)
        found += [pytest.param(PluginCheck(whole, name), id=f"{locator.name}-{name}") for name in whole.checks]
    return pytest.mark.parametrize("check", found)


@dataclass(frozen=True, repr=False)
class PluginCheck:
    """One check of one plugin, to be called by a test."""

    examination: Examination
    name: str

    def __repr__(self) -> str:
        return f"<check {self.name} of {self.examination.subject.name}>"

    def __call__(self) -> None:
        __tracebackhide__ = True
        found = self.examination.settle(self.name)
        if found.outcome is Outcome.SKIPPED:
            pytest.skip(found.reason)
        if found.outcome is Outcome.EXPECTED:
            pytest.xfail(found.reason)
        if not found.outcome.conforms:
            pytest.fail(f"{found.promise}\n{found.reason}\n\n{found.trace}".rstrip(), pytrace=False)
