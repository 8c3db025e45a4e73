"""What a plugin, its distribution and its package are called."""

from __future__ import annotations

import re
from dataclasses import dataclass

from smc_harness.errors import UsageError

KINDS = ("pruner", "task")

_NAME = re.compile("[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True)
class Names:
    """The names that follow from a plugin's kind and name."""

    kind: str
    plugin: str

    @property
    def distribution(self) -> str:
        return f"smc-{self.kind}-{self.plugin}"

    @property
    def package(self) -> str:
        return self.distribution.replace("-", "_")


def names(kind: str, given: str) -> Names:
    """Raises UsageError unless what was given does as plugin, and as a part of distribution and package.

    Small letters, digits and single hyphens alone: what installers and import treat alike stays one name.
    """
    prefix = f"smc-{kind}-"
    if not _NAME.fullmatch(given):
        nearest = "-".join(re.findall("[a-z0-9]+", given.lower())).removeprefix(prefix) or "my-idea"
        raise UsageError(
            f"{given!r}: words of small letters and digits, joined by hyphens, such as {nearest}, would work"
        )
    if given.startswith(prefix):
        raise UsageError(f"{given!r}: {prefix} is put before it; {given.removeprefix(prefix)} would work")
    return Names(kind, given)
