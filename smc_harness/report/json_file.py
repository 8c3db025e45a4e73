"""The whole run as one JSON object: in the store, for `report`, and where `--json` says."""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from smc_harness import __version__
from smc_harness.errors import UsageError
from smc_harness.hookspecs import hookimpl

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
    target = config.options.json
    if target not in (None, "-") and (Path(target).is_dir() or not Path(target).parent.is_dir()):
        raise UsageError(f"--json {target}: a file in a folder that exists would work")


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
    over, compared = over_seeds(found), compare(found)
    return {
        "schema": SCHEMA,
        "session": _session(session) | {"cells_saved": saved(session.search, results)},
        "tasks": _tasks(session),
        "cells": [result.to_json() for result in results],
        "first_fail": [item.to_json() for item in found],
    } | {
        name: [item.to_json() for item in items]
        for name, items in (("over_seeds", over), ("controls", compared))
        if items
    }


def _session(session: Session) -> dict[str, Any]:
    from importlib.metadata import version

    options = dict(sorted(vars(session.config.options).items()))
    return {
        "id": session.number,
        "versions": {
            "smc-harness": __version__,
            "python": platform.python_version(),
            "torch": version("torch"),
            "transformers": version("transformers"),
        },
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
    }


def _tasks(session: Session) -> dict[str, Any]:
    from dataclasses import asdict

    from smc_harness.session import tasks_of

    tasks = {}
    for task, denses in tasks_of(session):
        measured = [dense.measurement for dense in denses if dense.measurement is not None]
        tasks[task.name] = {
            "chance": task.declared("chance"),
            "dense": sum(m.value for m in measured) / len(measured) if measured else None,
            "dense_by_seed": {dense.seed: dense.measurement and dense.measurement.value for dense in denses},
            "floor": denses[0].floor,
            "published": task.declared("published"),
            "metric": task.declared("metric"),
            "unit": task.declared("unit"),
            "n": measured[0].n if measured else None,
            "higher_is_better": task.declared("higher_is_better", True),
            "tolerance": str(session.rule_of(task).margin),
            "params": asdict(task.params) if task.params is not None else {},
        }
    return tasks


def write(target: str, value: dict[str, Any], stdout: TextIO) -> None:
    """To a file, whole or not at all, or to `stdout` for `-`. Raises UsageError if it cannot be written."""
    text = json.dumps(plain(value), indent=2, allow_nan=False) + "\n"
    if target == "-":
        stdout.write(text)
        return
    path = Path(target)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise UsageError(f"--json {target}: {error.strerror or error}") from error


def plain(value: Any) -> Any:
    """What JSON can say of a value: NaN and infinity become null, keys and strange things their text."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | int) else str(value)
