"""`check_pruner`, `check_task`: all checks of a plugin, by one call."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from smc_harness.conformance import checks
from smc_harness.conformance.check import Examination, Report
from smc_harness.conformance.find import find, texts
from smc_harness.conformance.subject import PrunerSubject
from smc_harness.conformance.surroundings import refuse_nested
from smc_harness.conformance.task_subject import TaskSubject
from smc_harness.discovery.loading import Locator
from smc_harness.errors import UsageError


def check_pruner(
    pruner: Any, expected_failures: Mapping[str, str] | None = None, parameters: Mapping[str, Any] | None = None
) -> Report:
    """Hold a pruner to everything that ours are held to.

    pruner: the name of an installed one, the path of its file, its module, or a class or an object at the top of one.
    expected_failures: {check: why it fails}; where such a check passes, the report is not ok. parameters: of the
    pruner, by name. Raises UsageError where there is no such pruner, or not just one.
    """
    return examination(_one(pruner, "pruner"), expected_failures, parameters).report()


def check_task(
    task: Any,
    expected_failures: Mapping[str, str] | None = None,
    parameters: Mapping[str, Any] | None = None,
    data_dir: str | Path | None = None,
    model_dir: str | Path | None = None,
) -> Report:
    """Hold a task to everything that ours are held to.

    task, expected_failures, parameters: as for `check_pruner`. data_dir, model_dir: as --data-dir and --model-dir.
    """
    return examination(_one(task, "task"), expected_failures, parameters, data_dir, model_dir).report()


def examination(
    locator: Locator,
    expected: Mapping[str, str] | None = None,
    parameters: Mapping[str, Any] | None = None,
    data_dir: str | Path | None = None,
    model_dir: str | Path | None = None,
) -> Examination:
    """The checks of a plugin, none of them made yet. Raises UsageError for an expectation of no check."""
    settings = texts(parameters)
    if locator.kind == "pruner":
        return Examination(PrunerSubject(locator, settings), checks.PRUNER, expected)
    data, models = (str(path) if path is not None else None for path in (data_dir, model_dir))
    return Examination(TaskSubject(locator, settings, data, models), checks.TASK, expected)


def _one(given: Any, kind: str) -> Locator:
    refuse_nested()
    found = [locator for locator in find(given) if locator.kind == kind]
    if len(found) != 1:
        names = ", ".join(locator.name for locator in found)
        raise UsageError(f"{given}: {len(found)} {kind}s there{f' ({names})' * bool(names)}; one would work")
    return found[0]
