"""Saved runs for tests: the object that `--json` writes, of results that a test makes up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from smc_harness.cells import CellResult
from smc_harness.documents.writing import plain
from smc_harness.report.json_file import SCHEMA
from smc_harness.verdict.first_fail import first_fails

Object = dict[str, Any]


def saved(results: Sequence[CellResult], options: Object | None = None, **about: Any) -> Object:
    """about: of every task, beside what is usual."""
    tasks: Object = {}
    for result in results:
        usual = {"unit": "fraction", "n": 100, "higher_is_better": True, "params": {}, "dense_by_seed": {}}
        task = tasks.setdefault(result.cell.task, usual | about)
        task["dense_by_seed"][str(result.cell.seed)] = result.dense
    return plain(
        {
            "schema": SCHEMA,
            "session": {"options": {"tolerance": 0.01, "scope": "paper"} | (options or {}), "interrupted": False},
            "tasks": tasks,
            "cells": [result.to_json() for result in results],
            "first_fail": [found.to_json() for found in first_fails(results)],
        }
    )
