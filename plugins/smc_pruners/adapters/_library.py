"""What adapters share: a library that may be missing, and classes that are named in parameters.

Nothing here imports a library before a hook asks for it.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from smc_harness.discovery.loading import Locator, import_module
from smc_harness.errors import PluginError, UsageError

Phase = Literal["before", "during", "after", "iterative"]


def check_installed(module: str, extra: str) -> None:
    """Raise UsageError unless a library is here; it is not imported."""
    if find_spec(module) is None:
        raise UsageError(f"{module} is not installed; pip install 'smc-harness[{extra}]' would work")


def read_arguments(text: str) -> dict[str, Any]:
    """`n=2 dim=0` as {"n": 2, "dim": 0}: literals of Python where they are some, else text. Raises UsageError."""
    found = {}
    for word in text.split():
        name, equals, value = word.partition("=")
        if not (name.isidentifier() and equals):
            raise UsageError(f"arguments={text} given; NAME=VALUE, with spaces between several, would work")
        try:
            found[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            found[name] = float(value) if value.lstrip("-") == "inf" else value
    return found


def is_place(text: str) -> bool:
    """Whether it says where a class is, rather than what it is called: `package.module:Class` or `file.py:Class`."""
    module, _, name = text.rpartition(":")
    return bool(module) and name.isidentifier()


def class_at(text: str) -> type:
    """The class at `package.module:Class` or `file.py:Class`. Raises PluginError, with the reason."""
    module, _, name = text.rpartition(":")
    path = str(Path(module).resolve()) if module.endswith(".py") else None
    imported = import_module(Locator("pruner", name, text, None if path else module, path))
    found = getattr(imported, name, None)
    if not isinstance(found, type):
        raise PluginError(f"{text}: {module} has no class {name!r}")
    return found


def source_of(text: str) -> Sequence[Path]:
    """The file that `package.module:Class` or `file.py:Class` is read from, for the content keys.

    Compiled code has none. No module is imported, since one of them may import torch. Raises UsageError for a package
    that is not there.
    """
    module, _, _ = text.rpartition(":")
    if module.endswith(".py"):
        return (Path(module),)
    top, *rest = module.split(".")
    spec = find_spec(top)
    if spec is None:
        raise UsageError(f"{text} given, but no module {top!r} is installed; file.py:Class would work, too")
    if not rest:
        candidates = [Path(spec.origin or "")]
    else:
        folders = [Path(folder).joinpath(*rest) for folder in spec.submodule_search_locations or ()]
        candidates = [file for folder in folders for file in (folder.with_suffix(".py"), folder / "__init__.py")]
    return [file for file in candidates if file.suffix == ".py" and file.is_file()][:1]


def made(kind: type, arguments: dict[str, Any], given: str) -> Any:
    """An instance of a class. Raises UsageError where it does not take the arguments, which `given` says."""
    try:
        return kind(**arguments)
    except (TypeError, ValueError, AssertionError, NotImplementedError) as error:
        raise UsageError(f"{given}; {kind.__name__} does not take it: {error}") from error
