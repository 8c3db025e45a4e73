"""Finding plugins: entry points from metadata alone, and files under --collect paths.

One broken plugin is reported and the rest load.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from smc_harness.discovery import rules
from smc_harness.discovery.loading import Locator, import_module
from smc_harness.errors import HarnessError, PluginError, UsageError, one_line

GROUPS = {"pruner": "smc_harness.pruners", "task": "smc_harness.tasks", "session": "smc_harness.plugins"}


@dataclass(frozen=True)
class Problem:
    """A plugin that could not be used. source: entry point or path. reason: one line."""

    source: str
    reason: str


@dataclass
class Catalogue:
    """Every plugin that was found, none of the installed ones imported yet.

    installed, collected: {kind: {name: locator}}. problems: what could not be used. notices: what the user should know.
    all_broken: files were collected, and not one of them can be used.
    """

    installed: dict[str, dict[str, Locator]] = field(default_factory=lambda: {kind: {} for kind in GROUPS})
    collected: dict[str, dict[str, Locator]] = field(default_factory=lambda: {kind: {} for kind in GROUPS})
    problems: list[Problem] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    all_broken: bool = False

    def known(self, kind: str) -> dict[str, Locator]:
        """Collected and installed plugins of a kind; a collected file wins over an installed plugin of its name."""
        return self.installed[kind] | self.collected[kind]

    def add_problem(self, source: str, error: Exception) -> None:
        """Note, once, why what comes from `source` cannot be used."""
        problem = Problem(source, one_line(error).removeprefix(f"{source}: "))
        if problem not in self.problems:
            self.problems.append(problem)


def discover(paths: Sequence[Path] = ()) -> Catalogue:
    """Read the entry points and search the paths. Raises UsageError for a missing path or an ambiguous name."""
    catalogue = Catalogue()
    files: dict[Path, list[Locator]] = {}
    points = entry_points()  # the metadata of every installed distribution, read once
    for kind, group in GROUPS.items():
        for point in sorted(points.select(group=group), key=lambda point: point.name):
            _add_entry_point(catalogue, kind, point)
    if paths:
        for kind in GROUPS:
            for locator in catalogue.installed[kind].values():
                if (file := _module_file(locator.module)) is not None:
                    files.setdefault(file, []).append(locator)
    installed_problems = len(catalogue.problems)
    for file in _plugin_files(paths):
        if file in files:
            for locator in files[file]:
                # a file of our user's that has the same name wins, wherever it stands
                catalogue.collected[locator.kind].setdefault(locator.name, locator)
        else:
            _add_file(catalogue, file)
    if paths and not any(catalogue.collected.values()):
        catalogue.all_broken = len(catalogue.problems) > installed_problems
        if not catalogue.all_broken:
            catalogue.notices.append(f"--collect {' '.join(map(str, paths))}: no plugin found there")
    return catalogue


def _add_entry_point(catalogue: Catalogue, kind: str, point: EntryPoint) -> None:
    source = f"entry point {point.value}"
    try:
        locator = Locator(kind, point.name, source, point.module, attribute=point.attr or "")
    except AttributeError:  # importlib.metadata's way of saying that it cannot be parsed
        reason = f"{kind} {point.name!r}: 'package.module' or 'package.module:attribute' would work"
        catalogue.problems.append(Problem(source, reason))
        return
    other = catalogue.installed[kind].setdefault(point.name, locator)
    if other != locator:
        raise UsageError(
            f"two installed distributions offer a {kind} named {point.name!r} ({other.source}, {locator.source}); "
            "uninstall one of them"
        )


def _module_file(module: str | None) -> Path | None:
    """The file of a dotted module name, found without importing anything, packages included."""
    top, *rest = (module or "").split(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    if not rest:
        return Path(spec.origin).resolve() if spec.origin else None
    for location in spec.submodule_search_locations or ():
        base = Path(location, *rest)
        for candidate in (base.with_suffix(".py"), base / "__init__.py"):
            if candidate.is_file():
                return candidate.resolve()
    return None


def _plugin_files(paths: Iterable[Path]) -> Iterator[Path]:
    """Python files that may hold a plugin, each once, in a fixed order. A file named outright is always taken."""
    seen: set[Path] = set()
    for path in paths:
        if not path.exists():
            remedy = "leave --collect out for the installed pruners and the mini tasks"
            raise UsageError(f"--collect {path}: no such file or folder; {remedy}")
        if path.is_file() and path.suffix != ".py":
            raise UsageError(f"--collect {path}: not a Python file; a .py file or a folder would work")
        found = [path] if path.is_file() else _search(path)
        for file in found:
            if (resolved := file.resolve()) not in seen:
                seen.add(resolved)
                yield resolved


def _search(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not _ignored(Path(parent, name)))
        for name in sorted(files):
            file = Path(parent, name)
            if name.endswith(".py") and not name.startswith("_") and _mentions_hookimpl(file):
                yield file


def _ignored(folder: Path) -> bool:
    return folder.name.startswith((".", "_")) or (folder / "pyvenv.cfg").exists() or folder.name == "node_modules"


def _mentions_hookimpl(file: Path) -> bool:
    try:
        return b"hookimpl" in file.read_bytes()
    except OSError:
        return False


def _add_file(catalogue: Catalogue, file: Path) -> None:
    source = shown(file)
    locator = Locator("session", "", source, path=str(file))
    try:
        declared = declared_in(import_module(locator), locator)
    except HarnessError as error:
        catalogue.add_problem(source, error)
        return
    for item, place in declared:
        try:
            add_collected(catalogue, named(item, place))
        except Exception as error:  # reading a declaration may run the plugin's code
            catalogue.add_problem(source, error)


def declared_in(module: ModuleType, locator: Locator) -> list[tuple[Any, Locator]]:
    """What the module offers, each with its place: the module itself, or what its `plugins` names."""
    several = getattr(module, "plugins", None)
    if several is None:
        return [(module, locator)]
    if not isinstance(several, list | tuple):
        raise PluginError(f"plugins is {several!r}; a tuple such as plugins = (MyPruner,) would work")
    return [(item, replace(locator, attribute="plugins", index=i)) for i, item in enumerate(several)]


def named(item: Any, place: Locator) -> Locator:
    """The place, with name and kind. Raises PluginError unless the plugin keeps the rules."""
    name = getattr(item, "name", None)
    if not isinstance(name, str) or not name:
        raise PluginError(
            f"name is {name!r}; a plugin needs a `name`, a non-empty string (one that is a class or an object is "
            "listed in plugins = (MyPruner,); a helper file that begins with _ is left alone)"
        )
    kind = rules.kind_of(item, name)
    rules.check(item, kind, name)
    return replace(place, name=name, kind=kind)


def add_collected(catalogue: Catalogue, locator: Locator) -> None:
    """Raises PluginError where another file offers a plugin of that kind and name."""
    kind, name = locator.kind, locator.name
    other = catalogue.collected[kind].get(name)
    if other is not None and other.path is not None:
        raise PluginError(f"{other.source} offers a {kind} named {name!r} already; another name would work")
    catalogue.collected[kind][name] = locator
    if name in catalogue.installed[kind]:
        catalogue.notices.append(f"{locator.source}: takes the place of the installed {kind} {name!r}")


def shown(file: Path) -> str:
    """Relative to the working directory, if it is below that."""
    try:
        return str(file.relative_to(Path.cwd()))
    except ValueError:
        return str(file)
