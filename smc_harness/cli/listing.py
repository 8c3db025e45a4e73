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
from smc_harness.collection import presence
from smc_harness.config import Parser
from smc_harness.conversation.options import RunOptions
from smc_harness.discovery.catalogue import Catalogue, discover
from smc_harness.discovery.loading import Locator, load
from smc_harness.errors import ExitCode, PluginError, one_line
from smc_harness.report.json_file import SCHEMA, write

_KINDS = {"tasks": "task", "pruners": "pruner", "plugins": "session"}
_ATTRIBUTES = {
    "task": ("training", "model", "dataset", "metric", "unit", "chance", "published", "folds"),
    "pruner": ("phase", "score", "cost", "paper"),
    "session": (),
}


def parser() -> Parser:
    """The parser of `smc-harness list`."""
    parser = Parser(prog="smc-harness list", description="Show what is installed, collected or stored.")
    parser.add_argument("what", choices=[*_KINDS, "runs"])
    parser.add_argument("--collect", action="append", default=[], metavar="PATH", help="a plugin file or folder, too")
    parser.add_argument("--data-dir", metavar="DIR", help="where `list tasks` looks for data")
    parser.add_argument("--model-dir", metavar="DIR", help="where `list tasks` looks for checkpoints")
    parser.add_argument("--store", default=".smc-harness", metavar="DIR", help="the store whose runs are listed")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    return parser


def main(arguments: Sequence[str]) -> int:
    """Returns the exit code. Raises UsageError."""
    options = parser().parse_args(list(arguments))
    if options.what == "runs":
        rows = _runs(Path(options.store))
    else:
        where = RunOptions(data_dir=options.data_dir, model_dir=options.model_dir)
        rows = _plugins(discover([Path(path) for path in options.collect]), _KINDS[options.what], where)
    if options.json:
        write("-", {"schema": SCHEMA, options.what: rows}, sys.stdout)
    else:
        _show(rows, options.what)
    return ExitCode.DONE


def _plugins(catalogue: Catalogue, kind: str, where: RunOptions) -> list[dict[str, Any]]:
    for problem in catalogue.problems:
        print(f"smc-harness: {problem.source}: {problem.reason}", file=sys.stderr)
    known = dict(sorted(catalogue.known(kind).items()))
    rows = [_describe(locator, where) for locator in known.values()]
    return rows + [_describe_built_in(name) for name in BUILT_IN if kind == "session" and name not in known]


def _describe_built_in(name: str) -> dict[str, Any]:
    module = BUILT_IN[name].partition(":")[0]
    description = (importlib.import_module(module).__doc__ or "").partition("\n")[0]
    return {"name": name, "source": f"built-in {module}", "default": True, "description": description}


def _describe(locator: Locator, where: RunOptions) -> dict[str, Any]:
    row: dict[str, Any] = {"name": locator.name, "source": locator.source}
    try:
        plugin = load(locator)
    except PluginError as error:
        return row | {"problem": one_line(error)}
    declared = {name: plugin.declared(name) for name in _ATTRIBUTES[locator.kind]}
    if locator.kind == "task":
        declared |= {"training": plugin.training, "folds": plugin.folds}
        declared |= {"data": presence.data(plugin, where), "weights": presence.weights(plugin, where)}
    if locator.kind == "pruner":
        declared |= {"levels": list(plugin.levels) or None, "structure": str(plugin.structure)}
    declared["params"] = asdict(plugin.params) if plugin.params is not None else {}
    return row | declared | {"default": plugin.default, "description": plugin.description}


def _runs(store: Path) -> list[dict[str, Any]]:
    from smc_harness.store.results import existing

    results = existing(store)
    try:
        return results.sessions()
    finally:
        results.close()


def _show(rows: list[dict[str, Any]], what: str) -> None:
    if not rows:
        print(f"no {what}")
        return
    lines = [_LINES.get(what, _line)(row) for row in rows]
    heads = [_HEADS[what]] if what in _HEADS else []
    widths = [max(len(line[i]) for line in [*heads, *lines]) for i in range(len(lines[0]) - 1)]
    for line in [*heads, *lines]:
        cells = [f"{text:{width}}" for text, width in zip(line, widths, strict=False)]
        print("  ".join([*cells, line[-1]]).rstrip())


def _line(row: dict[str, Any]) -> tuple[str, ...]:
    return row["name"], str(row.get("phase") or ""), row.get("problem") or row.get("description") or ""


def _run_line(row: dict[str, Any]) -> tuple[str, ...]:
    return str(row["id"]), counted(row["cells"], "cell"), row["command"]


def _task_line(row: dict[str, Any]) -> tuple[str, ...]:
    if "problem" in row:
        return row["name"], row["problem"], "", "", "", "", ""
    published = row["published"]
    score = "-" if published is None else f"{100 * published:.1f} %" if row["unit"] == "fraction" else f"{published:g}"
    words = (row["model"], row["dataset"], row["metric"], score, row["data"], row["weights"])
    return row["name"], *(str(word or "") for word in words)


_HEADS = {"tasks": ("name", "model", "data set", "metric", "published", "data", "weights")}
_LINES = {"runs": _run_line, "tasks": _task_line}
