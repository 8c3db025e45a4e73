"""The page as one text: the template filled in, with the data, the style, the script and the library in it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from smc_harness.cells import CellResult, Verdict, counted, visible
from smc_harness.report import rerun
from smc_harness.report.page import cells, curves, matrix
from smc_harness.report.published import Curves
from smc_harness.report.saved import SavedRun
from smc_harness.report.tables import by_phase, findings, grouped, score

_SCRIPTS = ("page.js", "tables.js", "cells.js", "curves.js", "densities.js")
_LIBRARY = "window.vega = vega; window.vegaLite = vegaLite; window.vegaEmbed = vegaEmbed;"
_NAMES = {Verdict.PASS: "passed", Verdict.FAIL: "failed", Verdict.NOT_RUN: "not run", Verdict.ERROR: "in error"}


def render(run: SavedRun, published: Mapping[str, Curves] | None = None) -> str:
    """The HTML of a run. published: by task, the curves to lay over its own."""
    environment = Environment(
        loader=PackageLoader("smc_harness.report.page", "assets"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"visible": lambda value: visible(str(value)), "score": score}
    scripts = [script(text) for text in (_library(), *_own())]
    return environment.get_template("page.html").render(
        run=run,
        counts=_counts(run.results),
        size=_size(run.results),
        matrix=matrix.of(run),
        problems=[(result.verdict.value, visible(text)) for text, result in grouped(run.results)],
        findings=[(name, visible(text)) for name, text in findings(run.results)],
        scope=sorted({visible(result.cell.scope) for result in run.results}),
        again=visible(shlex.join(rerun.words(run))),
        style=Markup(_asset("page.css")),
        data=Markup(embedded(data(run, published or {}))),
        scripts=[Markup(text) for text in scripts],
        policy=_policy(scripts),
    )


def data(run: SavedRun, published: Mapping[str, Curves]) -> dict[str, Any]:
    """What the script of the page works on; names in it are as they are shown."""
    phases = by_phase(run.results)
    tasks = list(dict.fromkeys(result.cell.task for result in run.results))
    found = [curves.of_task(run, task, published.get(task), list(phases)) for task in tasks]
    return {
        "pruners": [{"name": visible(name), "phase": visible(phase)} for name, phase in phases.items()],
        "tasks": found,
        "intervals": curves.kinds(found),
        "cells": cells.of_run(run, tasks, list(phases)),
    }


def embedded(value: Any) -> str:
    """JSON that cannot end the element that it is in, nor a line of it."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return re.sub("[<>&\u2028\u2029]", lambda found: f"\\u{ord(found[0]):04x}", text)


def script(text: str) -> str:
    """Code that cannot end the element that it is in: what could is written so in strings and patterns."""
    return re.sub("<(?=/script|script|!--)", r"\\x3c", text, flags=re.IGNORECASE)


def _policy(scripts: list[str]) -> str:
    """These scripts run and no others, and nothing is loaded from anywhere."""
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts]
    return "default-src 'none'; style-src 'unsafe-inline'; script-src " + " ".join(f"'sha256-{h}'" for h in hashes)


@cache
def _library() -> str:
    """Vega-Lite and what it needs, as its Python package carries it."""
    import vl_convert

    return str(vl_convert.javascript_bundle(_LIBRARY))


def _own() -> list[str]:
    return ['"use strict";\n(() => {\n' + "\n".join(map(_asset, _SCRIPTS)) + "})();\n"]


def _asset(name: str) -> str:
    return files("smc_harness.report.page").joinpath("assets", name).read_text(encoding="utf-8")


def _counts(results: Sequence[CellResult]) -> list[tuple[str, str]]:
    """For each verdict that there is: its name, and `3 failed`."""
    found = Counter(result.verdict for result in results)
    return [(v.value, f"{found[v]} {_NAMES.get(v, v.value)}") for v in Verdict if found[v]]


def _size(results: Sequence[CellResult]) -> str:
    """`2 pruners on 1 task, at 10 levels, with 1 seed: 20 cells`."""
    number = {axis: len({getattr(r.cell, axis) for r in results}) for axis in ("pruner", "task", "level", "seed")}
    what = {axis: counted(n, axis) for axis, n in number.items()}
    return (
        f"{what['pruner']} on {what['task']}, at {what['level']} of sparsity, with {what['seed']}: "
        f"{counted(len(results), 'cell')}"
    )
