"""Writes the pages that follow from plugins and from results: `python -m docs.generate`."""

from __future__ import annotations

import inspect
from dataclasses import fields
from pathlib import Path
from typing import Any

from docs import study
from smc_harness.discovery.catalogue import discover
from smc_harness.discovery.loading import Plugin, load

PRUNERS = Path(__file__).parent / "reference" / "pruners.md"

_COLUMNS = ("name", "phase", "score (higher: keep)", "allocation", "cost a level", "paper", "parameters")
_HEAD = """\
# Pruners

Generated from the plugins by `python -m docs.generate`. Those in bold run by default: the eleven of SMC-Bench. The
others run when they are named (`--pruners`, `--variant`).

A cost is that of one level, dense training aside; what levels share (scores, rounds) is done once. Every pruner takes
`allocation` (`global`, `uniform`, `erk`) and `pattern` (`none`, N:M such as `2:4` or `4:8`, tiles such as `4x4`) beside
its own parameters: `--variant snip-erk=snip,allocation=erk`, `--variant m24=magnitude-after,pattern=2:4`,
`--set gmp.pattern=4x4`. An N:M pattern has one level only, which replaces the grid. `--controls` adds two controls of
every pruner: `NAME~random`, and `NAME~own-ratios` with the pruner's own ratio in every tensor.
"""


def pruners() -> str:
    """The page on pruners."""
    found = [load(locator) for _, locator in sorted(discover().installed["pruner"].items())]
    rows = [_row(plugin) for plugin in sorted(found, key=lambda plugin: not plugin.default)]
    lines = [_HEAD, _line(_COLUMNS), _line(["---"] * len(_COLUMNS)), *map(_line, rows), "", "## Parameters", ""]
    for plugin in found:
        if plugin.params is not None:
            lines += [f"### {plugin.name}", "", _prose(inspect.getdoc(type(plugin.params)) or ""), ""]
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


def _prose(text: str) -> str:
    """A docstring's paragraphs, each on one line."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


if __name__ == "__main__":
    PRUNERS.write_text(pruners(), encoding="utf-8")
    study.PAGE.write_text(study.page(), encoding="utf-8")
    study.draw()
