"""The page on the checks of the conformance kit, from their docstrings."""

from __future__ import annotations

from collections.abc import Sequence

from docs.generate import DOCS
from smc_harness.conformance import checks
from smc_harness.conformance.check import Check

PAGE = DOCS / "reference" / "checks.md"

_HEAD = """\
# Checks

Generated from the conformance kit by `python -m docs.generate`. [Check a plugin](../how-to/check.md) says how to make
them. A check that needs others is skipped where one of those fails.
"""


def page() -> str:
    """The whole page."""
    return "\n".join([_HEAD, *_table("a pruner", checks.PRUNER), "", *_table("a task", checks.TASK), ""])


def _table(kind: str, made: Sequence[Check]) -> list[str]:
    rows = [
        f"| `{check.name}` | {check.promise} | {', '.join(f'`{name}`' for name in check.needs)} |" for check in made
    ]
    return [f"## Of {kind}", "", "| check | what holds | needs |", "| --- | --- | --- |", *rows]
