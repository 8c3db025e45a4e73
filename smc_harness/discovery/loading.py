"""Importing a plugin and reading its declaration."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

from smc_harness.declarations.structure import Structure, read_structure
from smc_harness.discovery import parameters, rules
from smc_harness.errors import HarnessError, PluginError, UsageError, one_line
from smc_harness.store.identity import digest, file_digest, package_root, source_digest

_AXES = {"allocation": "global", "pattern": "none"}
"""What every pruner can be told beside its own parameters, and what holds where nothing is said."""

_OF_PARAMETERS = ("chance", "floor", "folds", "levels", "files", "phase")
"""What a plugin may declare as a function of its parameters."""


@dataclass(frozen=True)
class Locator:
    """Where a plugin comes from, in a form that another process can load it from.

    module: dotted name of an installed module, or None; path: of a collected file, or None.
    attribute: dotted name inside the module; empty: the module itself is the plugin.
    index: position in the attribute, where that is a tuple of plugins; -1: it is the plugin.
    source: how messages name the origin (`entry point smc_pruners.snip` or a path).
    """

    kind: str
    name: str
    source: str
    module: str | None = None
    path: str | None = None
    attribute: str = ""
    index: int = -1


@dataclass(frozen=True)
class Plugin:
    """A loaded plugin: its declaration, its parameters, and the object that holds its hooks.

    version, levels, prunes, default, phase: as declared. structure: allocation and pattern of a pruner, as declared or
    set. control, own: for a control, its kind and the pruner that it is one of. file: the source file whose digest
    enters content keys.
    """

    kind: str
    name: str
    hooks: Any
    locator: Locator
    settings: Mapping[str, str] = field(default_factory=dict)
    params: Any = None
    structure: Structure = field(default_factory=Structure)
    control: str = ""
    own: Plugin | None = None
    file: Path | None = None

    def declared(self, attribute: str, default: Any = None) -> Any:
        """An attribute of the plugin; of those that may be functions of its parameters, what they give.

        Raises HarnessError, naming the plugin, where such a function does not work.
        """
        value = getattr(self.hooks, attribute, default)
        if attribute not in _OF_PARAMETERS or not callable(value):
            return value
        try:
            return value(self.params)
        except HarnessError as error:
            raise type(error)(f"{self.name}: {error}") from error
        except Exception as error:
            raise PluginError(f"{self.name}: {attribute} failed: {one_line(error)}") from error

    @property
    def phase(self) -> str:
        """When a pruner prunes; empty for other plugins."""
        own = str(self.declared("phase", ""))
        if callable(getattr(self.hooks, "phase", None)) and own not in rules.PHASES:
            raise PluginError(f"{self.name}: phase gives {own!r}; one of {', '.join(rules.PHASES)} would work")
        return own

    @property
    def training(self) -> str:
        """The training id of a task."""
        return str(self.declared("training", self.name))

    @property
    def folds(self) -> int:
        """Of how many folds a task's data consist, one a seed; 1 where every seed sees the same data."""
        return int(self.declared("folds", 1))

    @property
    def default(self) -> bool:
        """Whether the plugin runs without being named."""
        return bool(self.declared("default", True))

    @property
    def levels(self) -> tuple[float, ...]:
        """The only levels at which a pruner exists; empty where any level will do, or where that is not known yet."""
        if self.structure.levels or self.lacking:
            return self.structure.levels
        own = self.declared("levels") or ()
        if own and not rules.are_levels(own):
            raise PluginError(f"{self.name}: levels gives {own!r}; a tuple of numbers in [0, 1) would work")
        return tuple(own)

    @property
    def lacking(self) -> tuple[str, ...]:
        """The parameters that the plugin needs and that nobody set."""
        return tuple(name for name in self.declared("needs", ()) if getattr(self.params, name) in (None, ""))

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that a pruner reads. Raises UsageError that names one that is not there."""
        if self.kind != "pruner" or self.lacking:
            return ()
        given = self.declared("files") or ()
        if not isinstance(given, list | tuple) or not all(isinstance(file, str | Path) for file in given):
            raise PluginError(f"{self.name}: files gives {given!r}; a tuple of paths would work")
        found = tuple(map(Path, given))
        if missing := [file for file in found if not file.is_file()]:
            raise UsageError(f"{self.name} reads {missing[0]}: no such file")
        return found

    @property
    def description(self) -> str:
        text = self.declared("description") or inspect.getdoc(self.hooks) or ""
        return str(text).strip().partition("\n")[0]

    @cached_property
    def implemented(self) -> frozenset[str]:
        """The hooks that the plugin itself answers; what it wraps is not among them."""
        found = rules.implementations(self.hooks)
        return frozenset(hook for _, hook, _, options in found if not options.get("wrapper"))

    @property
    def params_digest(self) -> str:
        return digest(self.params, self.structure)[:8]

    @cached_property
    def identity(self) -> str:
        """Digest of everything about the plugin that can change a number."""
        source = source_digest(self.file) if self.file else ""
        params, contents = self.params, [file_digest(file) for file in self.files]
        if contents:  # which stand for the paths to them
            params = {name: value for name, value in asdict(self.params).items() if not isinstance(value, Path)}
        return digest(self.name, self.declared("version"), source, params, self.structure, self.control, *contents)

    @property
    def training_identity(self) -> str:
        """`identity` of a task, with the training id in place of the name: equal for tasks that share a training."""
        source = source_digest(self.file) if self.file else ""
        return digest(self.training, self.declared("version"), source, self.params)


def control_of(pruner: Plugin, control: str) -> Plugin:
    """The control of a pruner, under the name NAME~CONTROL."""
    return replace(pruner, name=f"{pruner.name}~{control}", control=control, own=pruner)


def load(locator: Locator, settings: Mapping[str, str] | None = None, name: str | None = None) -> Plugin:
    """Import, check and instantiate a plugin.

    settings: parameter values as text. name: a variant's own name.
    Raises PluginError with the reason if it cannot be used, UsageError for a wrong setting.
    """
    module = import_module(locator)
    hooks = _within(module, locator)
    if (declared := getattr(hooks, "name", locator.name)) != locator.name:
        raise PluginError(f"{locator.source}: it is published as {locator.name!r} but calls itself {declared!r}")
    settings = dict(settings or {})
    own_name = name or locator.name
    structure = _take_structure(hooks, locator.kind, own_settings := dict(settings), own_name)
    common = _AXES if locator.kind == "pruner" else ()
    params = parameters.build(getattr(hooks, "params", None), own_settings, own_name, common)
    if inspect.isclass(hooks):
        hooks = _instantiate(hooks, params, own_name)
    rules.check(hooks, locator.kind, own_name)
    file = Path(module.__file__).resolve() if module.__file__ else None
    return Plugin(locator.kind, own_name, hooks, locator, settings, params, structure, file=file)


def offered(locator: Locator) -> Any:
    """The module, class or object that is the plugin, imported and not yet checked. Raises PluginError."""
    return _within(import_module(locator), locator)


def _within(module: ModuleType, locator: Locator) -> Any:
    found: Any = module
    for part in filter(None, locator.attribute.split(".")):
        if not hasattr(found, part):
            raise PluginError(f"{locator.source}: module {module.__name__} has no attribute {locator.attribute!r}")
        found = getattr(found, part)
    return found[locator.index] if locator.index >= 0 else found


def _take_structure(hooks: Any, kind: str, settings: dict[str, str], name: str) -> Structure:
    """Allocation and pattern of a pruner, taken out of the settings. Raises UsageError, PluginError."""
    if kind != "pruner":
        return Structure()
    declared = {axis: getattr(hooks, axis, default) for axis, default in _AXES.items()}
    if wrong := next((axis for axis, value in declared.items() if not isinstance(value, str)), None):
        raise PluginError(f"{name}: {wrong} is {declared[wrong]!r}; a text such as {_AXES[wrong]!r} would work")
    if clash := sorted(_AXES.keys() & parameters.names(getattr(hooks, "params", None))):
        raise PluginError(f"{name}: every pruner has {clash[0]!r}; another name for this parameter would work")
    if "pattern" in settings and "allocation" not in settings and ":" in settings["pattern"]:
        declared["allocation"] = _AXES["allocation"]  # an N:M pattern fixes the density of every tensor
    chosen = {axis: settings.pop(axis, value) for axis, value in declared.items()}
    try:
        return read_structure(chosen["allocation"], chosen["pattern"], name)
    except UsageError as error:
        if chosen != declared:
            raise
        raise PluginError(one_line(error)) from error


def _instantiate(kind: type, params: Any, name: str) -> Any:
    accepted = inspect.signature(kind).parameters.values()
    # a class without parameters of its own may still have a constructor whose arguments all have defaults
    takes = bool(accepted) if params is not None else any(p.default is p.empty for p in accepted)
    try:
        return kind(params) if takes else kind()
    except Exception as error:
        raise PluginError(f"{name}: {kind.__name__}({'params' * takes}) failed: {one_line(error)}") from error


def import_module(locator: Locator) -> ModuleType:
    """Import the module that holds the plugin; whatever it raises becomes a PluginError with the reason."""
    try:
        with redirect_stdout(sys.stderr):  # standard output is for results
            if locator.path is not None:
                return _import_file(Path(locator.path))
            assert locator.module is not None
            return importlib.import_module(locator.module)
    except PluginError:
        raise
    except (Exception, SystemExit) as error:
        raise PluginError(f"{locator.source}: import failed: {one_line(error)}{_remedy(error)}") from error


def _remedy(error: BaseException) -> str:
    """What would help, or where in the plugin's code the error arose."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f"; is {error.name!r} installed in this environment?"
    places = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    own = [(file, line) for file, line in places if file != __file__ and "importlib" not in file]
    return f" ({Path(own[-1][0]).name}, line {own[-1][1]})" if own else ""


def _import_file(file: Path) -> ModuleType:
    """Import a file under its package name, seen from the first folder above it that is not a package."""
    root = package_root(file)
    if str(root) not in sys.path:
        # last, so that a collected folder never hides an installed module
        sys.path.append(str(root))
    package, *rest = file.relative_to(root).with_suffix("").parts
    if not rest:
        return _import_alone(file)
    if not _is_found(package, root / package / "__init__.py"):
        raise PluginError(f"{file}: another package named {package!r} is installed; another folder name would work")
    return importlib.import_module(".".join([package, *rest]).removesuffix(".__init__"))


def _import_alone(file: Path) -> ModuleType:
    """Import a file outside packages, under its own name if that is free."""
    name = file.stem
    if not name.isidentifier() or not _is_found(name, file):
        # it may be called like an installed module, or in a way that Python would not understand
        name = f"{name.replace('.', '_')}_{digest(str(file))[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise PluginError(f"{file}: not a Python source file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _is_found(name: str, file: Path) -> bool:
    """Whether importing `name` gives this file."""
    importlib.invalidate_caches()
    loaded = sys.modules.get(name)
    origin = getattr(loaded, "__file__", None) if loaded is not None else _origin(name)
    return origin is not None and Path(origin).resolve() == file.resolve()


def _origin(name: str) -> str | None:
    spec = importlib.util.find_spec(name)
    return spec.origin if spec is not None else None
