"""The page on hooks, from `smc_harness/hookspecs.py`, which stays the one place where they are described."""

from __future__ import annotations

import inspect
import re
from types import FunctionType

from docs.generate import DOCS
from docs.generate.docstrings import described
from smc_harness import hookspecs

PAGE = DOCS / "reference" / "hooks.md"

LABELS = ("When", "May change", "Returns", "Default", "Example")
_SIDES = {"task": hookspecs.TASK_HOOKS, "pruner": hookspecs.PRUNER_HOOKS, "session plugin": hookspecs.SESSION_HOOKS}
_SECTION = re.compile(r"^# -+\n# (.+)\n# -+\n", re.MULTILINE)
_ATTRIBUTE = re.compile(r"^    (\w+): (.*(?:\n {8}.*)*)", re.MULTILINE)

_HEAD = """\
# Hooks

Generated from [`smc_harness/hookspecs.py`](../../smc_harness/hookspecs.py) by `python -m docs.generate`, in the order
of a run's life. Types of arguments are described in the [API reference](api.md).
"""


def page() -> str:
    """The whole page."""
    contract, _, attributes = (hookspecs.__doc__ or "").partition("Beside hooks, ")
    _, *paragraphs = [" ".join(paragraph.split()) for paragraph in contract.strip().split("\n\n")]
    lines = [_HEAD, *(f"{paragraph}\n" for paragraph in paragraphs)]
    lines += _overview()
    _, *sections = _SECTION.split(inspect.getsource(hookspecs))
    for title, source in zip(sections[::2], sections[1::2], strict=True):
        head, _, remark = title.partition(". ")
        lines += [f"## {head}", "", remark, ""]
        for name in re.findall(r"^def (\w+)", source, re.MULTILINE):
            lines += _hook(name)
    return "\n".join([*lines, *_attributes(f"Beside hooks, {attributes}")]).rstrip() + "\n"


def hooks() -> dict[str, FunctionType]:
    """In life-cycle order."""
    return {name: found for name, found in vars(hookspecs).items() if hasattr(found, f"{hookspecs.PROJECT}_spec")}


def _overview() -> list[str]:
    lines = ["| hook | implemented by | |", "| --- | --- | --- |"]
    for name, hook in hooks().items():
        summary = inspect.cleandoc(hook.__doc__ or "").partition("\n")[0]
        lines.append(f"| [`{name}`](#{name}) | {_side(name)} | {summary} |")
    return [*lines, ""]


def _side(name: str) -> str:
    return next(f"a {side}" for side, names in _SIDES.items() if name in names)


def _hook(name: str) -> list[str]:
    hook = hooks()[name]
    arguments = inspect.signature(hook).parameters
    prose, found = described(hook.__doc__ or "", [*arguments, *LABELS])
    lines = [f"### {name}", "", "```python", _signature(hook), "```", ""]
    lines += [f"{paragraph}\n" for paragraph in prose]
    lines.append(f"- **Implemented by**: {_side(name)}")
    for label in ("When", *arguments, *LABELS[1:]):
        if label in found:
            shown = f"**{label}**" if label in LABELS else f"`{label}`"
            lines.append(f"- {shown}: {found[label]}")
    return [*lines, ""]


def _signature(hook: FunctionType) -> str:
    """With its types as they are written; on several lines where one is too long."""
    signature = inspect.signature(hook)
    words = [f"{name}: {parameter.annotation}" for name, parameter in signature.parameters.items()]
    line = f"{hook.__name__}({', '.join(words)}) -> {signature.return_annotation}"
    if len(line) <= 100:
        return line
    return "\n".join([f"{hook.__name__}(", *(f"    {word}," for word in words), f") -> {signature.return_annotation}"])


def _attributes(text: str) -> list[str]:
    """Tables of what plugins declare."""
    lines = ["## Attributes", ""]
    for paragraph in text.strip().split("\n\n"):
        found = _ATTRIBUTE.findall(paragraph)
        if not found:
            lines += [" ".join(paragraph.split()), ""]
            continue
        lines += [f"### {paragraph.partition(':')[0]}", "", "| attribute | |", "| --- | --- |"]
        lines += [f"| `{name}` | {' '.join(words.split())} |" for name, words in found]
        lines.append("")
    return lines
