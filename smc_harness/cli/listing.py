"""`smc-harness list tasks|pruners|plugins|runs`."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from smc_harness.cells import counted
from smc_harness.cli.sessions import BUILT_IN
from smc_harness.config import Parser
from smc_harness.discovery.catalogue import Catalogue, discover
from smc_harness.discovery.loading import Locator, load
from smc_harness.errors import ExitCode, PluginError, UsageError, one_line
from smc_harness.report.json_file import SCHEMA, write

_KINDS = {"tasks": "task", "pruners": "pruner", "plugins": "session"}
_ATTRIBUTES = {
    "task": ("training", "model", "dataset", "metric", "unit", "chance", "published"),
    "pruner": ("phase", "score", "cost", "paper"),
    "session": (),
}


def main(arguments: Sequence[str]) -> int:
    """Returns the exit code. Raises UsageError."""
    parser = Parser(
        prog="smc-harness list", description="Show what is installed, collected or stored.", allow_abbrev=False
    )
    parser.add_argument("what", choices=[*_KINDS, "runs"])
    parser.add_argument("--collect", action="append", default=[], metavar="PATH", help="a plugin file or folder, too")
    parser.add_argument("--store", default=".smc-harness", metavar="DIR", help="the store whose runs are listed")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    options = parser.parse_args(list(arguments))
    if options.what == "runs":
        rows = _runs(Path(options.store))
    else:
        rows = _plugins(discover([Path(path) for path in options.collect]), _KINDS[options.what])
    if options.json:
        write("-", {"schema": SCHEMA, options.what: rows}, sys.stdout)
    else:
        _show(rows, options.what)
    return ExitCode.DONE


def _plugins(catalogue: Catalogue, kind: str) -> list[dict[str, Any]]:
    for problem in catalogue.problems:
        print(f"smc-harness: {problem.source}: {problem.reason}", file=sys.stderr)
    known = dict(sorted(catalogue.known(kind).items()))
    rows = [_describe(locator) for locator in known.values()]
    return rows + [_describe_built_in(name) for name in BUILT_IN if kind == "session" and name not in known]


def _describe_built_in(name: str) -> dict[str, Any]:
    module = importlib.import_module(BUILT_IN[name])
    description = (module.__doc__ or "").partition("\n")[0]
    return {"name": name, "source": f"built-in {BUILT_IN[name]}", "default": True, "description": description}


def _describe(locator: Locator) -> dict[str, Any]:
    row: dict[str, Any] = {"name": locator.name, "source": locator.source}
    try:
        plugin = load(locator)
    except PluginError as error:
        return row | {"problem": one_line(error)}
    declared = {name: plugin.declared(name) for name in _ATTRIBUTES[locator.kind]}
    if locator.kind == "task":
        declared["training"] = plugin.training
    if locator.kind == "pruner":
        declared |= {"levels": list(plugin.levels) or None, "structure": str(plugin.structure)}
    declared["params"] = asdict(plugin.params) if plugin.params is not None else {}
    return row | declared | {"default": plugin.default, "description": plugin.description}


def _runs(store: Path) -> list[dict[str, Any]]:
    if not (store / "results.sqlite").is_file():
        raise UsageError(f"--store {store}: no results there; a folder that an earlier run used would work")
    from smc_harness.store.results import Results

    results = Results(store)
    try:
        return results.sessions()
    finally:
        results.close()


def _show(rows: list[dict[str, Any]], what: str) -> None:
    if not rows:
        print(f"no {what}")
        return
    if what == "runs":
        lines = [(str(row["id"]), counted(row["cells"], "cell"), row["command"]) for row in rows]
    else:
        lines = [
            (
                row["name"],
                str(row.get("phase") or row.get("metric") or ""),
                row.get("problem") or row.get("description") or "",
            )
            for row in rows
        ]
    widths = [max(len(line[i]) for line in lines) for i in range(2)]
    for first, second, third in lines:
        print(f"{first:{widths[0]}}  {second:{widths[1]}}  {third}".rstrip())
