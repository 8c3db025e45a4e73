"""`smc-harness new pruner|task NAME`: a ready distribution for a plugin."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from smc_harness.config import Parser
from smc_harness.discovery.catalogue import discover
from smc_harness.errors import ExitCode, UsageError
from smc_harness.scaffold.names import KINDS, Names, names

_EPILOG = """\
examples:
  smc-harness new pruner my-idea                  the distribution smc-pruner-my-idea, in a folder of that name
  smc-harness new task my-task --into plugins     smc-task-my-task, in plugins/
"""


def parser() -> Parser:
    """The parser of `smc-harness new`."""
    parser = Parser(
        prog="smc-harness new",
        description="Write a distribution that is ready to be changed, tested and published: a plugin that works, its "
        "tests, workflows for GitHub, a README.",
        epilog=_EPILOG,
    )
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("name", metavar="NAME", help="of the plugin: small letters and digits, joined by hyphens")
    parser.add_argument("--into", type=Path, default=Path(), metavar="DIR", help="where the folder is made (default: "
        "here)")  # fmt: skip
    return parser


def main(arguments: Sequence[str]) -> int:
    """Returns the exit code. Raises UsageError."""
    options = parser().parse_args(list(arguments))
    chosen = names(options.kind, options.name)
    _refuse_a_taken_name(chosen)
    # the templates' engine is loaded where it is used
    from smc_harness.scaffold.write import write

    folder = write(chosen, options.into)
    print(f"{folder}: the {chosen.kind} {chosen.plugin}; its README.md says how to go on")
    return ExitCode.DONE


def _refuse_a_taken_name(chosen: Names) -> None:
    """An error, not a warning: with two of a name installed, no run of the harness would start."""
    taken = discover().installed[chosen.kind].get(chosen.plugin)
    if taken is not None:
        raise UsageError(
            f"a {chosen.kind} named {chosen.plugin!r} is installed already ({taken.source}), and there can be one of a "
            "name; another name would work"
        )
