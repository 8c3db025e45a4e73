"""Options: the command line over SMC_HARNESS_ADDOPTS over [tool.smc-harness] in pyproject.toml over the defaults."""

from __future__ import annotations

import argparse
import os
import shlex
import tomllib
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
_COLLECTING = ("set", "variant")
"""Options whose values add up over the layers; any other list is replaced by the layer above."""


@dataclass
class Config:
    """The settled options, and the session's plugin manager. `stash`: what session plugins keep for themselves."""

    options: argparse.Namespace
    pluginmanager: pluggy.PluginManager
    stash: dict[str, Any] = field(default_factory=dict)

    @property
    def hook(self) -> pluggy.HookRelay:
        return self.pluginmanager.hook


class Parser(argparse.ArgumentParser):
    """argparse that raises UsageError instead of printing the whole usage and exiting."""

    def error(self, message: str) -> NoReturn:
        if message.startswith("unrecognized arguments: "):
            given = message.removeprefix("unrecognized arguments: ").split()[0]
            known = [option for action in self._actions for option in action.option_strings]
            message = f"unknown option {given}{nearest(given, known)}"
        raise UsageError(message)


def new_manager() -> pluggy.PluginManager:
    """A plugin manager that knows the contract."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    return manager


def parse(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> argparse.Namespace:
    """Parse the three layers; each one overrides those below it. Raises UsageError."""
    defaults = {action.dest: action.default for action in parser._actions if action.default != argparse.SUPPRESS}
    merged: dict[str, Any] = dict(defaults)
    for layer in (_from_pyproject(parser), shlex.split(os.environ.get(ADDOPTS, "")), list(arguments)):
        given = _parse_layer(parser, layer)
        for name, value in given.items():
            merged[name] = [*(merged.get(name) or []), *value] if name in _COLLECTING else value
    return argparse.Namespace(**merged)


def _parse_layer(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> dict[str, Any]:
    """Only what the layer itself gives."""
    kept = [(action, action.default) for action in parser._actions]
    try:
        for action, _ in kept:
            action.default = argparse.SUPPRESS
        return vars(parser.parse_args(list(arguments)))
    finally:
        for action, default in kept:
            action.default = default


def _from_pyproject(parser: argparse.ArgumentParser) -> list[str]:
    """The table as command-line words: strings and numbers follow their option, true stands alone, lists repeat it."""
    path = Path("pyproject.toml")
    if not path.is_file():
        return []
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8")).get("tool", {}).get(TABLE, {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: {error}") from error
    known = {option.lstrip("-") for action in parser._actions for option in action.option_strings}
    words: list[str] = []
    for name, value in table.items():
        if name not in known:
            raise UsageError(f"{path}: [tool.{TABLE}] has no option {name!r}{nearest(name, known)}")
        option = f"--{name}" if len(name) > 1 else f"-{name}"
        if value is True:
            words.append(option)
        elif value is not False:
            for item in value if isinstance(value, list) else [value]:
                words += [option, str(item)]
    return words


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
        levels.add(level)
    return tuple(sorted(levels))
