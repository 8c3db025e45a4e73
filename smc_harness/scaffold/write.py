"""Filling in the templates.

`templates/common` is for every kind of plugin, the folder beside it for one. In their paths `package` stands for the
package's name and `dot_` for a dot, and every file ends in `.jinja`: so no tool takes a template for what it will be.

Jinja2 is here with torch already. The programs that are made for this, copier and cookiecutter, ask questions, and the
first can update what it wrote; neither is needed, and each brings packages of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path, PurePosixPath

from jinja2 import Environment, StrictUndefined

from smc_harness import HOOK_API, __version__
from smc_harness.errors import UsageError
from smc_harness.scaffold.names import Names

_SMALL_RUNS = {
    "pruner": "--pruners {} --tasks protein-mini --levels 0.2,0.488,0.738",
    "task": "--tasks {} --pruners magnitude-after,random-after --levels 0.2,0.488,0.738",
}
"""What takes a minute, for the README and for the build's comparison with a baseline."""

# GitHub's workflows have Jinja's usual marks for expressions of their own
_ENVIRONMENT = Environment(
    block_start_string="<%",
    block_end_string="%>",
    variable_start_string="<<",
    variable_end_string=">>",
    comment_start_string="<#",
    comment_end_string="#>",
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    autoescape=False,  # nothing here is HTML
)


def write(names: Names, into: Path) -> Path:
    """Write the distribution into a new folder of its name in `into`; returns that folder.

    Raises UsageError where it exists already or cannot be written.
    """
    folder = into / names.distribution
    if folder.exists():
        raise UsageError(f"{folder} exists already; another name, or another --into, would work")
    try:
        for path, text in contents(names).items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise UsageError(
            f"{folder}: {error.strerror or error}; --into a folder that can be written would work"
        ) from error
    return folder


def contents(names: Names) -> dict[str, str]:
    """{path in the distribution: text}."""
    variables = {
        "kind": names.kind,
        "name": names.plugin,
        "api": ".".join(map(str, HOOK_API)),
        "distribution": names.distribution,
        "package": names.package,
        "harness": compatible(__version__),
        "small_run": _SMALL_RUNS[names.kind].format(names.plugin),
    }
    templates = files("smc_harness.scaffold") / "templates"
    found = {}
    for part in ("common", names.kind):
        for path, template in _walk(templates / part):
            text = _ENVIRONMENT.from_string(template.read_text(encoding="utf-8")).render(variables)
            found[_place(path, names)] = text
    return found


def compatible(version: str) -> str:
    """The versions of the harness that a plugin runs with that was written for this one.

    What goes away from the contract stays for one minor version, with a warning.
    """
    major, minor, patch, *_ = *map(int, re.findall(r"\d+", version)[:3]), 0
    return f">={major}.{minor}.{patch},<{major}.{minor + 2}"


def _walk(folder: Traversable, above: str = "") -> Iterator[tuple[str, Traversable]]:
    for item in sorted(folder.iterdir(), key=lambda item: item.name):
        if item.is_dir():
            yield from _walk(item, f"{above}{item.name}/")
        elif item.name.endswith(".jinja"):
            yield above + item.name, item


def _place(path: str, names: Names) -> str:
    parts = PurePosixPath(path.removesuffix(".jinja")).parts
    return "/".join(names.package if part == "package" else re.sub("^dot_", ".", part) for part in parts)
