"""`smc-harness prune MODEL`: a checkpoint in, a pruned checkpoint out."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from smc_harness.collection.choose import Choice, read_settings
from smc_harness.config import Parser
from smc_harness.discovery.catalogue import discover
from smc_harness.discovery.loading import Plugin
from smc_harness.errors import ExitCode, UsageError

_EPILOG = """\
examples:
  smc-harness prune models/llama --pruner magnitude-one-shot --level 0.5 --out models/llama-50
  smc-harness prune models/llama --pruner magnitude-one-shot --set magnitude-one-shot.allocation=global \\
      --level 0.5 --out models/llama-50
  smc-harness prune models/llama --pruner mine --collect my_pruner.py --level 0.3 --out models/llama-30

A run that was killed goes on with the same command.
exit codes: 0 done, 2 interrupted, 4 usage
"""
_BLOCKS = re.compile(r"(^|\.)(layers|layer|h|blocks|block)\.\d+\.")
"""Where models of transformers have their blocks."""
_SHOWN = 2.0
"""Seconds between two lines of progress."""


def parser() -> Parser:
    """The parser of `smc-harness prune`."""
    parser = Parser(
        prog="smc-harness prune",
        description="Prune a checkpoint of any size, tensor by tensor, by a pruner whose scores of a tensor follow "
        "from its own values. The count is exact.",
        epilog=_EPILOG,
    )
    add = parser.add_argument
    add("model", type=Path, metavar="MODEL", help="a folder with safetensors as save_pretrained writes them")
    add("--pruner", required=True, metavar="NAME")
    add("--level", required=True, type=float, metavar="S", help="pruned / prunable weights, from 0 to below 1")
    add("--out", required=True, type=Path, metavar="DIR", help="a new folder for the pruned checkpoint")
    add("--scope", choices=["blocks", "all"], default="blocks", help="the matrices of the blocks, or every matrix "
        "(default blocks)")  # fmt: skip
    add("--collect", action="append", default=[], type=Path, metavar="PATH", help="a file or folder with the pruner")
    add("--set", action="append", default=[], metavar="NAME.PARAM=VALUE", help="a parameter of it, its allocation or "
        "its pattern")  # fmt: skip
    return parser


def main(arguments: Sequence[str]) -> int:
    """Returns the exit code. Raises UsageError."""
    options = parser().parse_args(list(arguments))
    if not 0.0 <= options.level < 1.0:
        raise UsageError(f"--level {options.level:g}: a number from 0 to below 1 would work")
    pruner = _pruner(options.pruner, options.collect, options.set)

    from smc_harness.checkpoint.stream import prune

    began = time.monotonic()
    wanted = (lambda name: True) if options.scope == "all" else (lambda name: bool(_BLOCKS.search(name)))
    found = prune(options.model, options.out, pruner, options.level, wanted, _told(sys.stderr.isatty()))
    went_on = f", {found.resumed} of them by an earlier run" if found.resumed else ""
    print(
        f"{options.out}: {found.pruned:,} of {found.weights:,} weights pruned ({found.pruned / found.weights:.4%}), "
        f"{found.files} files{went_on}, {time.monotonic() - began:.1f} s"
    )
    return ExitCode.DONE


def _pruner(name: str, paths: Sequence[Path], settings: Sequence[str]) -> Plugin:
    """Raises UsageError where there is none of that name, or it is set what it does not have."""
    catalogue = discover(paths)
    choice = Choice(catalogue, read_settings(settings))
    (pruner,) = choice.choose("pruner", [name]) or (None,)
    if pruner is None:
        raise UsageError(f"--pruner {name}: {catalogue.problems[0].reason if catalogue.problems else 'not found'}")
    if unused := sorted(choice.settings.keys() - {name}):
        raise UsageError(f"--set {unused[0]}.…: the pruner is {name}; its own parameters would work")
    return pruner


def _told(live: bool) -> Callable[[str, int, int], None]:
    """Progress on standard error, a line now and then, or one that is written over."""
    last = time.monotonic()

    def tell(what: str, done: int, of: int) -> None:
        nonlocal last
        if time.monotonic() - last >= _SHOWN:
            last = time.monotonic()
            print(f"{what}: file {done + 1} of {of}", file=sys.stderr, end="\r" if live else "\n", flush=True)

    return tell
