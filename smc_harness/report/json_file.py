"""The whole run as one JSON object: in the store, for `report`, and where `--json` says."""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TextIO

from smc_harness.documents.writing import plain
from smc_harness.execution.about import about, versions
from smc_harness.hookspecs import hookimpl
from smc_harness.report.files import check, put

if TYPE_CHECKING:
    from smc_harness.cells import CellResult
    from smc_harness.config import Config
    from smc_harness.session import Session

SCHEMA = 1


@hookimpl
def addoption(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", metavar="FILE", help="write the results as JSON; -: to standard output")


@hookimpl
def configure(config: Config) -> None:
    """Refuse a place that cannot be written before the run, not after it."""
    check("json", config.options.json)


@hookimpl
def session_finished(session: Session, results: Sequence[CellResult]) -> None:
    config, found = session.config, plain(to_object(session, results))
    if results:
        session.keep_report(json.dumps(found, allow_nan=False))
    if config.options.json is not None:
        write(config.options.json, found, config.stash["stdout"])


def to_object(session: Session, results: Sequence[CellResult]) -> dict[str, Any]:
    """The object that `--json` writes: schema, session, tasks, cells, first_fail, and more where there is more."""
    from smc_harness.verdict.controls import compare
    from smc_harness.verdict.first_fail import first_fails, over_seeds
    from smc_harness.verdict.search import saved

    found = first_fails(results)
    whole: dict[str, Any] = {
        "schema": SCHEMA,
        "session": _session(session) | {"cells_saved": saved(session.search, results)},
        "tasks": _tasks(session),
        "cells": [result.to_json() for result in results],
        "first_fail": [item.to_json() for item in found],
    }
    for name, items in (("over_seeds", over_seeds(found)), ("controls", compare(found))):
        if items:
            whole[name] = [item.to_json() for item in items]
    if session.comparison is not None:
        whole["baseline"] = session.comparison.to_json()
    return whole


def _session(session: Session) -> dict[str, Any]:
    options = dict(sorted(vars(session.config.options).items()))
    return {
        "id": session.number,
        "versions": versions(),
        "machine": {
            "system": platform.platform(),
            "processor": platform.machine(),
            "cores": os.cpu_count(),
            "device": session.device.kind,
            "gpus": len(session.device.gpus),
        },
        "options": options,
        "seed": session.config.options.seed,
        "interrupted": session.interrupted,
        "ended": session.ended,
    }


def _tasks(session: Session) -> dict[str, Any]:
    from smc_harness.session import tasks_of

    return {task.name: about(task, denses, session.rule_of(task).margin) for task, denses in tasks_of(session)}


def write(target: str, value: dict[str, Any], stdout: TextIO) -> None:
    """To a file, whole or not at all, or to `stdout` for `-`. Raises UsageError if it cannot be written."""
    put("json", target, json.dumps(plain(value), indent=2, allow_nan=False) + "\n", stdout)
