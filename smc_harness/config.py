"""Options: the command line over SMC_HARNESS_ADDOPTS over [tool.smc-harness] in pyproject.toml over the defaults."""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import pluggy

from smc_harness import hookspecs
from smc_harness.errors import UsageError, nearest

PAPER_LEVELS = (0.2, 0.36, 0.488, 0.59, 0.672, 0.738, 0.791, 0.8325, 0.866, 0.893)
"""The grid of SMC-Bench."""

ADDOPTS = "SMC_HARNESS_ADDOPTS"
TABLE = "smc-harness"
_PYPROJECT = Path("pyproject.toml")
_COLLECTING = ("set", "variant", "plugins", "tolerance")
"""Options whose values add up over the layers; any other list is replaced by the layer above."""


@dataclass
class Config:
    """The settled options, and the session's plugin manager.

    stash: what session plugins keep for themselves. The command line keeps there `catalogue` (the plugins that were
    found), `listeners` (the session plugins that workers need) and `stdout` (where results go for `-`).
    """

    options: argparse.Namespace
    pluginmanager: pluggy.PluginManager
    stash: dict[str, Any] = field(default_factory=dict)

    @property
    def hook(self) -> pluggy.HookRelay:
        return self.pluginmanager.hook


class Parser(argparse.ArgumentParser):
    """argparse that raises UsageError instead of printing the whole usage and exiting, and takes whole words alone."""

    def __init__(self, prog: str, description: str, epilog: str | None = None, add_help: bool = True) -> None:
        super().__init__(
            prog=prog,
            description=description,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
            add_help=add_help,
        )

    def error(self, message: str) -> NoReturn:
        if message.startswith("unrecognized arguments: "):
            given = message.removeprefix("unrecognized arguments: ").split()[0]
            known = [option for action in self._actions for option in action.option_strings]
            hint = nearest(given, known) if given.startswith("--") else ""
            message = f"unknown option {given}{hint}" if given.startswith("-") else f"unexpected argument {given!r}"
        raise UsageError(message)


def new_manager() -> pluggy.PluginManager:
    """A plugin manager that knows the contract."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    return manager


def parse(parser: argparse.ArgumentParser, arguments: Sequence[str], known_only: bool = False) -> argparse.Namespace:
    """Parse the three layers; each one overrides those below it. Raises UsageError.

    known_only: leave out what the parser does not know, which plugins may yet add to it.
    """
    defaults = {action.dest: action.default for action in parser._actions if action.default != argparse.SUPPRESS}
    merged: dict[str, Any] = dict(defaults)
    for origin, layer in (
        (f"{_PYPROJECT}: [tool.{TABLE}]: ", _from_pyproject(parser, known_only)),
        (f"{ADDOPTS}: ", _from_environment()),
        ("", list(arguments)),
    ):
        try:
            given = _parse_layer(parser, layer, known_only)
        except UsageError as error:
            raise UsageError(f"{origin}{error}") from error
        for name, value in given.items():
            merged[name] = [*(merged.get(name) or []), *value] if name in _COLLECTING else value
    return argparse.Namespace(**merged)


def _parse_layer(parser: argparse.ArgumentParser, arguments: Sequence[str], known_only: bool) -> dict[str, Any]:
    """Only what the layer itself gives."""
    kept = [(action, action.default) for action in parser._actions]
    try:
        for action, _ in kept:
            action.default = argparse.SUPPRESS
        # intermixed: ids may stand on both sides of an option
        given, unknown = parser.parse_known_intermixed_args(list(arguments))
    finally:
        for action, default in kept:
            action.default = default
    if unknown and not known_only:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    return {name: value for name, value in vars(given).items() if value != argparse.SUPPRESS}


def _from_environment() -> list[str]:
    try:
        return shlex.split(os.environ.get(ADDOPTS, ""))
    except ValueError as error:
        raise UsageError(f"{ADDOPTS}: {error}; quote it as for a shell") from error


def _from_pyproject(parser: argparse.ArgumentParser, known_only: bool) -> list[str]:
    """The table as command-line words. Raises UsageError."""
    if not _PYPROJECT.is_file():
        return []
    import tomllib

    try:
        tools = tomllib.loads(_PYPROJECT.read_text(encoding="utf-8")).get("tool", {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise UsageError(f"{_PYPROJECT}: {error}") from error
    table = tools.get(TABLE, {}) if isinstance(tools, dict) else {}
    if not isinstance(table, dict):
        raise UsageError(f"{_PYPROJECT}: tool.{TABLE} is {table!r}; a table [tool.{TABLE}] would work")
    known = {option.lstrip("-"): (option, action) for action in parser._actions for option in action.option_strings}
    words: list[str] = []
    for name, value in table.items():
        if name in known:
            words += _words(*known[name], value)
        elif not known_only:
            raise UsageError(f"{_PYPROJECT}: [tool.{TABLE}] has no option {name!r}{nearest(name, known)}")
    return words


def _words(option: str, action: argparse.Action, value: Any) -> list[str]:
    """`true` stands alone; a number counts where the option does; a list repeats its option or is joined by commas."""
    if isinstance(value, bool):
        return [option] * value
    if action.nargs == 0:
        if isinstance(action.const, int) or not isinstance(value, int):
            raise UsageError(f"{_PYPROJECT}: [tool.{TABLE}]: {option.lstrip('-')} is {value!r}; true would work")
        return [option] * value
    values = [str(item) for item in value] if isinstance(value, list) else [str(value)]
    if not isinstance(action.default, list):
        values = [",".join(values)]
    return [f"{option}={item}" if option.startswith("--") else f"{option}{item}" for item in values]


def read_levels(text: str) -> tuple[float, ...]:
    """`paper`, or numbers in [0, 1) separated by commas; ascending, each once. Raises UsageError."""
    if text == "paper":
        return PAPER_LEVELS
    levels = set()
    for word in text.split(","):
        try:
            level = float(word)
        except ValueError:
            raise UsageError(f"--levels {text}: {word!r} is not a number; 0.2,0.36 or paper would work") from None
        if not 0.0 <= level < 1.0:
            raise UsageError(
                f"--levels {text}: {word} is outside [0, 1); a share of the weights such as 0.5 would work"
            )
        levels.add(abs(level))  # there is a negative zero
    return tuple(sorted(levels))
