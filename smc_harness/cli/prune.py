"""`smc-harness prune MODEL`: a checkpoint in, a pruned checkpoint out."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from smc_harness.collection.choose import Choice, read_settings
from smc_harness.collection.data_files import ask, with_files
from smc_harness.config import Parser
from smc_harness.conversation.options import RunOptions
from smc_harness.declarations.pretrained import Pretrained
from smc_harness.discovery.catalogue import discover
from smc_harness.discovery.loading import Plugin
from smc_harness.errors import ExitCode, UsageError, one_line

_EPILOG = """\
examples:
  smc-harness prune models/llama --pruner magnitude-one-shot --level 0.5 --out models/llama-50
  smc-harness prune models/llama --pruner magnitude-one-shot --set magnitude-one-shot.allocation=global \\
      --level 0.5 --out models/llama-50
  smc-harness prune models/llama --pruner mine --collect my_pruner.py --level 0.3 --out models/llama-30
  smc-harness prune models/llama --pruner calibrated --calibrate texts --data-dir data --level 0.5 \\
      --out models/llama-50

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
        description="Prune a checkpoint of any size: tensor by tensor, by a pruner whose scores of a tensor follow "
        "from its own values, or block by block, by one that is calibrated on the training examples of a task. The "
        "count is exact.",
        epilog=_EPILOG,
    )
    add = parser.add_argument
    add("model", type=Path, metavar="MODEL", help="a folder with safetensors as save_pretrained writes them")
    add("--pruner", required=True, metavar="NAME")
    add("--level", required=True, type=float, metavar="S", help="pruned / prunable weights, from 0 to below 1")
    add("--out", required=True, type=Path, metavar="DIR", help="a new folder for the pruned checkpoint")
    add("--scope", choices=["blocks", "all"], default="blocks", help="the matrices of the blocks, or every matrix "
        "(default blocks)")  # fmt: skip
    add("--calibrate", metavar="TASK", help="a task that starts from a checkpoint of this kind, for a pruner that runs "
        "the model; it is calibrated on its training examples")  # fmt: skip
    add("--data-dir", metavar="DIR", help="the folder with the files that the task reads")
    add("--seed", type=int, default=0, help="which of the task's examples are drawn (default 0)")
    add("--collect", action="append", default=[], type=Path, metavar="PATH", help="a file or folder with the pruner "
        "or the task")  # fmt: skip
    add("--set", action="append", default=[], metavar="NAME.PARAM=VALUE", help="a parameter of either; the pruner's "
        "allocation, or its pattern")  # fmt: skip
    return parser


def main(arguments: Sequence[str]) -> int:
    """Returns the exit code. Raises UsageError."""
    options = parser().parse_args(list(arguments))
    if not 0.0 <= options.level < 1.0:
        raise UsageError(f"--level {options.level:g}: a number from 0 to below 1 would work")
    chosen = _Chosen(options.collect, options.set)
    pruner = chosen.plugin("pruner", options.pruner)
    task = chosen.plugin("task", options.calibrate) if options.calibrate else None
    chosen.check_settings(pruner, task)
    began = time.monotonic()
    wanted = (lambda name: True) if options.scope == "all" else (lambda name: bool(_BLOCKS.search(name)))
    tell = _told(sys.stderr.isatty())
    try:
        if task is None:
            from smc_harness.checkpoint import stream

            found = stream.prune(options.model, options.out, pruner, options.level, wanted, tell)
        else:
            from smc_harness.checkpoint import calibrated

            run = _run_options(task, options.model, options.data_dir, options.seed)
            found = calibrated.prune(options.model, options.out, pruner, options.level, wanted, task, run, tell)
    except OSError as error:
        reason = error.strerror or one_line(error)
        raise UsageError(f"--out {options.out}: {reason}; once it can be written, the same command goes on") from error
    what = "files" if task is None else "matrices"
    went_on = f", {found.resumed} {what} by an earlier run" if found.resumed else ""
    print(
        f"{options.out}: {found.pruned:,} of {found.weights:,} weights pruned ({found.pruned / found.weights:.4%}), "
        f"{found.files} files{went_on}, {time.monotonic() - began:.1f} s"
    )
    return ExitCode.DONE


class _Chosen:
    """The plugins that were named."""

    def __init__(self, paths: Sequence[Path], settings: Sequence[str]) -> None:
        self._catalogue = discover(paths)
        self._choice = Choice(self._catalogue, read_settings(settings))

    def plugin(self, kind: str, name: str) -> Plugin:
        """Raises UsageError where there is none of that name, or it is set what it does not have."""
        (plugin,) = self._choice.choose(kind, [name]) or (None,)
        if plugin is None:
            problems = self._catalogue.problems
            raise UsageError(f"{kind} {name}: {problems[0].reason if problems else 'not found'}")
        return plugin

    def check_settings(self, *plugins: Plugin | None) -> None:
        """Raises UsageError for a setting of a plugin that takes no part."""
        names = [plugin.name for plugin in plugins if plugin is not None]
        if unused := sorted(self._choice.settings.keys() - set(names)):
            raise UsageError(f"--set {unused[0]}.…: parameters of {' or '.join(names)} would work")


def _run_options(task: Plugin, model: Path, data_dir: str | None, seed: int) -> RunOptions:
    """Those of a session in which the task starts from this model. Raises UsageError where it starts from none."""
    options = with_files(task, RunOptions(data_dir=data_dir, session_seed=seed), 0)
    if ask(task, "pretrained", options, 0) is None:
        raise UsageError(f"--calibrate {task.name}: does not start from a checkpoint; a task that does would work")
    return replace(options, pretrained=Pretrained(str(model)))


def _told(live: bool) -> Callable[[str, int, int], None]:
    """Progress on standard error, a line now and then, or one that is written over."""
    last = time.monotonic()

    def tell(what: str, done: int, of: int) -> None:
        nonlocal last
        if time.monotonic() - last >= _SHOWN:
            last = time.monotonic()
            print(f"{what}: {done} of {of}", file=sys.stderr, end="\r" if live else "\n", flush=True)

    return tell
