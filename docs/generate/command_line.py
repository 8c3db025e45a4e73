"""The page on the command line, from the parsers, and from the exit codes."""

from __future__ import annotations

import argparse
import inspect
import re
from importlib import import_module

from docs.generate import DOCS
from smc_harness.cli import COMMANDS
from smc_harness.errors import ExitCode

PAGE = DOCS / "reference" / "command_line.md"

_HEAD = """\
# Command line

Generated from the parsers by `python -m docs.generate`; `smc-harness --help` and `smc-harness COMMAND --help` say the
same. The first word selects a command; without one, `run` is meant. Plugins add options of their own to `run`.
Where defaults come from: [configuration](configuration.md).
"""


def page() -> str:
    """The whole page."""
    lines = [_HEAD]
    for command in COMMANDS:
        lines += _command(command, parser_of(command))
    lines += ["## Exit codes", "", "| code | name | meaning |", "| --- | --- | --- |"]
    lines += [f"| {code.value} | `{code.name}` | {meaning} |" for code, meaning in exit_codes().items()]
    lines += ["", "When several hold: 2, 3, 6, 1, 5, 0. Before anything ran: 4, 7, 5.", ""]
    return "\n".join(lines)


def parser_of(command: str) -> argparse.ArgumentParser:
    """The parser of a command, with what our own session plugins add to it."""
    parser: argparse.ArgumentParser = import_module(f"smc_harness.cli.{COMMANDS[command]}").parser()
    return parser


def exit_codes() -> dict[ExitCode, str]:
    """With what is said below each of them."""
    said = re.findall(r'(\w+) = \d+\n +"""(.*?)"""', inspect.getsource(ExitCode), re.DOTALL)
    return {ExitCode[name]: " ".join(words.split()) for name, words in said}


def _command(command: str, parser: argparse.ArgumentParser) -> list[str]:
    lines = [f"## smc-harness {command}", "", parser.description or "", ""]
    # what plugins add goes last, as it does in the life of a run
    for group in sorted(parser._action_groups, key=lambda group: group is parser._optionals):
        actions = [action for action in group._group_actions if not isinstance(action, argparse._HelpAction)]
        if actions:
            reports = command == "run" and group is parser._optionals
            title = "arguments" if group is parser._positionals else "reports" if reports else group.title
            lines += [f"### {command}: {title}", ""]
            lines += [f"- {_name(action)}: {_text(action.help or '')}{_choices(action)}" for action in actions]
            lines.append("")
    examples = (parser.epilog or "").partition("examples:\n")[2].partition("\n\n")[0]
    if examples:
        lines += ["```sh", *(_spaced(line) for line in examples.splitlines()), "```", ""]
    return lines


def _name(action: argparse.Action) -> str:
    metavar = action.metavar if isinstance(action.metavar, str) else None
    if not action.option_strings:
        return f"`{metavar or action.dest}`"
    takes = action.nargs != 0 and not action.choices
    value = f" {metavar or action.dest.upper()}" if takes else ""
    return ", ".join(f"`{option}{value}`" for option in action.option_strings)


def _choices(action: argparse.Action) -> str:
    if not action.choices:
        return ""
    return ("; " if action.help else "") + "one of " + ", ".join(f"`{choice}`" for choice in action.choices)


def _spaced(line: str) -> str:
    """A command and what it is for, as a shell would read them."""
    command, _, meaning = re.sub(r"  +", "  ", line.strip()).partition("  ")
    return f"{command}  # {meaning}" if meaning else command


def _text(text: str) -> str:
    return text.replace("<", "&lt;").replace("*", "\\*").replace("~", "\\~").replace("%%", "%")
