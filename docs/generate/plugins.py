"""The pages on the pruners and on the tasks, from the plugins."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from itertools import groupby
from typing import Any

from docs.generate import DOCS
from docs.generate.docstrings import described
from smc_harness.discovery.catalogue import discover
from smc_harness.discovery.loading import Plugin, load

PRUNERS = DOCS / "reference" / "pruners.md"
TASKS = DOCS / "reference" / "tasks.md"

_COLUMNS = ("name", "phase", "score (higher: keep)", "allocation", "cost a level", "paper", "parameters")
_HEAD = """\
# Pruners

Generated from the plugins by `python -m docs.generate`. Those in bold run by default: the eleven of SMC-Bench. The
others run when they are named (`--pruners`, `--variant`).

A cost is that of one level, dense training aside; what levels share (scores, rounds) is done once. Every pruner takes
`allocation` (`global`, `uniform`, `erk`, `rows`) and `pattern` (`none`, N:M such as `2:4` or `4:8`, tiles such as
`4x4`) beside its own parameters: `--variant snip-erk=snip,allocation=erk`, `--variant m24=magnitude-after,pattern=2:4`,
`--set gmp.pattern=4x4`. An N:M pattern has one level only, which replaces the grid. `--controls` adds two controls of
every pruner: `NAME~random`, and `NAME~own-ratios` with the pruner's own ratio in every tensor.
"""

_TASK_COLUMNS = ("name", "model", "data set", "metric", "chance", "published, dense")
_TASK_HEAD = """\
# Tasks

Generated from the plugins by `python -m docs.generate`. Those in bold run by default. `smc-harness list tasks` says the
same with what of it is on this machine. The published scores are those of SMC-Bench's figures, for comparison; they
decide nothing.

- **Data** come from files under `--data-dir`, named by `train` and `test` (plain or gzipped); without it,
  from the hub at a fixed commit, where the set is there. What is read is part of every content key.
- **Checkpoints** come from a folder under `--model-dir`, or from the hub at a commit. `--set TASK.model=NAME` takes
  another one; one that lacks a part the task needs is refused in a line.
- **Parameters** are set by `--set TASK.PARAMETER=VALUE`.
"""


def tasks() -> str:
    """The page on tasks."""
    found = [load(locator) for _, locator in sorted(discover().installed["task"].items())]
    rows = [_task_row(plugin) for plugin in sorted(found, key=lambda plugin: not plugin.default)]
    lines = [_TASK_HEAD, _line(_TASK_COLUMNS), _line(["---"] * len(_TASK_COLUMNS)), *map(_line, rows), ""]
    lines += ["## Parameters", ""]
    kinds = dict.fromkeys(type(plugin.params) for plugin in found if plugin.params is not None)
    for kind in kinds:
        alike = [plugin for plugin in found if type(plugin.params) is kind]
        lines += [f"### {', '.join(plugin.name for plugin in alike)}", ""]
        lines += _parameters(alike[0].params)
    return "\n".join(lines).rstrip() + "\n"


def _task_row(plugin: Plugin) -> list[str]:
    name = f"**{plugin.name}**" if plugin.default else plugin.name
    unit, chance, published = (plugin.declared(key, None) for key in ("unit", "chance", "published"))
    if callable(chance):
        chance = chance(plugin.params)
    model, dataset, metric = (str(plugin.declared(key, "")) for key in ("model", "dataset", "metric"))
    return [name, model, dataset, metric, _score(chance, unit), _score(published, unit)]


def _score(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    return f"{100 * value:.4g} %" if unit == "fraction" else f"{value:g}"


def _parameters(params: Any) -> list[str]:
    """What the class and those it extends say of their parameters, and the defaults."""
    values = {field.name: f"`{field.name}={_short(getattr(params, field.name))}`" for field in fields(params)}
    documents = [base.__doc__ for base in reversed(type(params).__mro__) if is_dataclass(base) and base.__doc__]
    lines: list[str] = []
    said: dict[str, str] = {}
    for document in documents:
        if not document.startswith(f"{type(params).__name__}("):  # what dataclasses make up
            prose, found = described(document, values)
            lines += [line for paragraph in prose if paragraph != "Also:" for line in (paragraph, "")]
            for name, words in found.items():  # a class may add to what the one it extends says
                said[name] = "; ".join(filter(None, (said.get(name), words.rstrip("."))))
    for words, names in groupby(values, key=lambda name: said.get(name, "")):
        lines.append(f"- {', '.join(values[name] for name in names)}{': ' * bool(words)}{words}")
    return [*lines, ""]


def pruners() -> str:
    """The page on pruners."""
    found = [load(locator) for _, locator in sorted(discover().installed["pruner"].items())]
    rows = [_row(plugin) for plugin in sorted(found, key=lambda plugin: not plugin.default)]
    lines = [_HEAD, _line(_COLUMNS), _line(["---"] * len(_COLUMNS)), *map(_line, rows), "", "## Parameters", ""]
    for plugin in found:
        if plugin.params is not None:
            lines += [f"### {plugin.name}", "", *_parameters(plugin.params)]
    return "\n".join(lines).rstrip() + "\n"


def _row(plugin: Plugin) -> list[str]:
    name = f"**{plugin.name}**" if plugin.default else plugin.name
    declared = [str(plugin.declared(attribute, "")) for attribute in ("score", "cost", "paper")]
    return [name, plugin.phase, declared[0], str(plugin.structure), declared[1], declared[2], _defaults(plugin.params)]


def _defaults(params: Any) -> str:
    if params is None:
        return ""
    return ", ".join(f"`{field.name}={_short(getattr(params, field.name))}`" for field in fields(params))


def _short(value: Any) -> str:
    return format(value, "g") if isinstance(value, float) else str(value)


def _line(words: Any) -> str:
    return "| " + " | ".join(word.replace("|", "\\|") for word in words) + " |"
