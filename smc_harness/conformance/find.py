"""Finding what is to be checked: an installed plugin by its name, the plugins of a file, or a plugin as an object."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from smc_harness.discovery.catalogue import Catalogue, discover
from smc_harness.discovery.handed import hand_over
from smc_harness.discovery.loading import Locator
from smc_harness.errors import UsageError, nearest

KINDS = ("pruner", "task")


def find(given: Any) -> list[Locator]:
    """Pruners and tasks. given: a name; a path of a file or folder; a module, a class or an object of a module.

    Raises UsageError where there is none, or where a plugin cannot be used.
    """
    if isinstance(given, Path):
        return _collected(discover([given]), str(given))
    if isinstance(given, str):
        return _installed(given) or _collected(discover([Path(given)]), given)
    hand_over(catalogue := Catalogue(), given)
    return _collected(catalogue, repr(given))


def _installed(name: str) -> list[Locator]:
    """Those of the name; none where it is a path. Raises UsageError where it is neither."""
    catalogue = discover()
    found = [catalogue.installed[kind][name] for kind in KINDS if name in catalogue.installed[kind]]
    if not found and not Path(name).exists():
        known = [known for kind in KINDS for known in catalogue.installed[kind]]
        raise UsageError(f"{name}: no such file, and no such plugin is installed{nearest(name, known)}")
    return found


def _collected(catalogue: Catalogue, given: str) -> list[Locator]:
    if catalogue.problems:
        raise UsageError(f"{catalogue.problems[0].source}: {catalogue.problems[0].reason}")
    found = [locator for kind in KINDS for locator in catalogue.collected[kind].values()]
    if not found:
        raise UsageError(f"{given}: no pruner and no task there; a file with one would work")
    return found


def texts(parameters: Mapping[str, Any] | None) -> dict[str, str]:
    """Values of parameters as --set takes them."""
    return {
        name: ",".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
        for name, value in (parameters or {}).items()
    }
