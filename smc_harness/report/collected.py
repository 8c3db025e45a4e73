"""`--collect-only`: the cells, as lines or as JSON."""

from __future__ import annotations

import sys

from smc_harness.cells import counted, visible
from smc_harness.collection.collect import Collection
from smc_harness.config import Config
from smc_harness.report.json_file import SCHEMA, write


def show(collection: Collection, config: Config) -> None:
    """Print the ids in order; with --json the object `{schema, cells}` instead."""
    catalogue = collection.catalogue
    for problem in catalogue.problems:
        print(visible(f"PROBLEM {problem.source}: {problem.reason}"), file=sys.stderr)
    for notice in catalogue.notices:
        print(visible(notice), file=sys.stderr)
    target = getattr(config.options, "json", None)
    if target is not None:
        rows = [
            {"id": cell.id, "task": cell.task, "pruner": cell.pruner, "level": cell.level, "seed": cell.seed}
            for cell in collection.cells
        ]
        write(target, {"schema": SCHEMA, "cells": rows}, config.stash["stdout"])
    if target != "-":
        for cell in collection.cells:
            print(cell.id)
        deselected = f", {collection.deselected} deselected" if collection.deselected else ""
        print(f"\n{counted(len(collection.cells), 'cell')} collected{deselected}")
