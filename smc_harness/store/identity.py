"""Content keys: what a result depends on, and nothing else.

A key is the SHA-256 of a canonical JSON text. It covers the schema below, the harness's own numeric code, the torch
build, the processor's instruction set, the task and the pruner (source, version, libraries, parameters), the data,
the seeds, the scope and the thread count. It leaves out everything that cannot change a number: the verdict rule, the
other levels asked for, the number of workers, the order of work, paths, time.
"""

from __future__ import annotations

import ast
import hashlib
import json
import platform
import sys
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import Any

from smc_harness.errors import PluginError

SCHEMA = 1
"""Bump when the meaning of a stored number changes in a way that the source digests cannot see."""

_NUMERIC_ROOMS = ("lifecycle", "conversation", "training", "sparsity", "declarations")


def digest(*parts: Any) -> str:
    """40 hexadecimal digits that identify `parts` (JSON values and dataclasses)."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()[:40]


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, frozenset | set):
        return sorted(value)
    text = repr(value)
    if " at 0x" in text:
        raise PluginError(f"{text} has no lasting text, so no result can be kept under it; plain values would work")
    return text


def seed_from(*parts: Any) -> int:
    """A 63-bit seed that depends on every part and on nothing else."""
    return int(digest(*parts)[:16], 16) >> 1


@cache
def environment() -> str:
    """Digest of what is common to all computations on this machine and installation."""
    here = Path(__file__).resolve().parents[1]
    files = sorted(file for room in _NUMERIC_ROOMS for file in (here / room).rglob("*.py"))
    code = [(str(file.relative_to(here)), hashlib.sha256(file.read_bytes()).hexdigest()) for file in files]
    return digest(SCHEMA, code, _version("torch"), _version("numpy"), platform.machine(), _processor_features())


def _processor_features() -> str:
    """The instruction sets decide which kernels run, hence the last bits; the model name does not."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(("flags", "Features")):
                return line
    except OSError:
        pass
    return platform.processor()


def _version(module: str) -> str | None:
    """Version of the distribution that holds a top-level module; None for the standard library and plain files."""
    if module in sys.stdlib_module_names:
        return None
    try:
        return version(module)
    except PackageNotFoundError:
        names = _distributions().get(module, [])
        return version(names[0]) if names else None


@cache
def _distributions() -> Mapping[str, list[str]]:
    return packages_distributions()


@cache
def source_digest(file: Path) -> str:
    """Digest of a plugin's source: its file, what that imports from beside it, and the versions of its libraries.

    Imports are followed within the plugin's own top-level package (or folder, for a file outside packages), wherever
    in the file they stand. Code loaded in other ways is not seen: that is what a plugin's `version` is for.
    """
    seen, libraries = _sources(file)
    versions = {name: found for name in libraries if (found := _version(name)) and name != "smc_harness"}
    return digest(seen, versions)


def own_modules(file: Path) -> list[str]:
    """The dotted names of a plugin's module and of what that imports from beside it, wherever in the file."""
    seen, _ = _sources(file)
    return [name.removesuffix(".py").replace("/", ".").removesuffix(".__init__") for name in seen]


@cache
def _sources(file: Path) -> tuple[dict[str, str], set[str]]:
    """{path below the package's root: digest} of a plugin's own files, and the libraries that they import."""
    root = package_root(file)
    # where distributions are installed, what lies beside the plugin's package is none of its own
    alone = file.relative_to(root).parts[0].removesuffix(".py") if any(root.glob("*.dist-info")) else ""
    seen: dict[str, str] = {}
    libraries: set[str] = set()
    waiting = [file]
    while waiting:
        current = waiting.pop()
        name = current.relative_to(root).as_posix()
        if name in seen:
            continue
        text = current.read_bytes()
        seen[name] = hashlib.sha256(text).hexdigest()
        for module in _imports(text, current, root):
            top = module.partition(".")[0]
            own = _own_files(module, root) if alone in ("", top) else []
            waiting += own
            if not own:
                libraries.add(top)
    return seen, libraries


def package_root(file: Path) -> Path:
    """The first folder above `file` that is not a package."""
    folder = file.parent
    while (folder / "__init__.py").exists():
        folder = folder.parent
    return folder


def _own_files(module: str, root: Path) -> list[Path]:
    """The files under `root` that importing `module` runs: the module and the packages above it."""
    parts = module.split(".")
    packages = [root.joinpath(*parts[:count], "__init__.py") for count in range(1, len(parts) + 1)]
    candidates = [*packages, root.joinpath(*parts).with_suffix(".py")]
    return [candidate for candidate in candidates if candidate.is_file()]


def _imports(text: bytes, file: Path, root: Path) -> set[str]:
    package = file.parent.relative_to(root).parts
    found: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*above, *([node.module] if node.module else [])])
            found.add(base)
            found |= {f"{base}.{alias.name}" for alias in node.names}
    return found - {""}


def file_digest(path: Path) -> str:
    """Digest of a file's content; one that did not change is read once."""
    found = path.stat()
    return _file_digest(path, found.st_size, found.st_mtime_ns)


@cache
def _file_digest(path: Path, size: int, changed: int) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
