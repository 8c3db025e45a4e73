"""The options of `smc-harness run`."""

from __future__ import annotations

import argparse
import re

from smc_harness.config import Parser
from smc_harness.conversation.options import PRECISIONS
from smc_harness.verdict.margin import Margin
from smc_harness.verdict.rule import RULES
from smc_harness.verdict.search import SEARCHES

_EPILOG = """\
examples:
  smc-harness --collect plugins/                      the pruners found there, on the four mini tasks
  smc-harness --collect my_pruner.py --levels 0.5     one file, one level
  smc-harness --pruners 'magnitude-*' --seeds 3 -v    installed pruners by name, three seeds, a line per cell
  smc-harness 'commonsense-mini::snip[0.488,seed0]'   one cell, by its id
  smc-harness --collect-only --json -                 what would run, as JSON
  smc-harness --baseline baseline.json                what got worse or better since --update-baseline wrote it

exit codes: 0 done, 1 worse than the baseline or with --strict a failed cell, 2 interrupted, 3 internal error, 4 usage,
5 nothing to run, 6 a cell ended in error, 7 a plugin failed to load under --strict-plugins
"""


def run_parser(add_help: bool = True) -> Parser:
    """The parser of `smc-harness run`, before plugins add to it."""
    parser = Parser(
        prog="smc-harness",
        description="Find the sparsity level at which each pruner first fails on each task.",
        epilog=_EPILOG,
        add_help=add_help,
    )
    parser.add_argument(
        "ids", nargs="*", default=[], metavar="ID", help="only the cells with these ids, id prefixes or globs"
    )
    _what(parser.add_argument_group("what to run"))
    _how(parser.add_argument_group("how to run it"))
    _judge(parser.add_argument_group("verdict"))
    _output(parser.add_argument_group("output"))
    return parser


def _what(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--collect", action="append", default=[], metavar="PATH", help="a plugin file or folder; may be repeated")
    add("--tasks", metavar="GLOB,..", help="tasks by name or glob (default: those collected, else the mini tasks)")
    add("--pruners", metavar="GLOB,..", help="pruners by name or glob (default: those collected, else the paper's)")
    add("--variant", action="append", default=[], metavar="NAME=SPEC", help="a pruner under another name with other "
        "parameters, allocation (global, uniform, erk, rows) or pattern (2:4, 4x4): snip-erk=snip,batches=64,allocation=erk")  # fmt: skip
    add("--set", action="append", default=[], metavar="NAME.PARAM=VALUE", help="a parameter of a task or pruner")
    add("--controls", action="store_true", help="run two controls of every pruner, too: NAME~random, and "
        "NAME~own-ratios with its ratio in every tensor")  # fmt: skip
    add("--levels", default="paper", metavar="L,..", help="sparsity levels in [0, 1), or paper (default)")
    add("--seeds", type=_positive, default=1, metavar="N", help="seeds 0 to N-1 (default 1)")
    add("--seed", type=int, default=0, metavar="S", help="session seed: another draw of everything (default 0)")
    add("--scope", default="paper", metavar="NAME", help="the task's preset of prunable tensors (default paper)")
    add("--limit", type=_positive, metavar="N", help="score at most N examples")
    add("-k", dest="keyword", metavar="EXPR", help="only cells whose id matches: 'snip and not arithmetic'")
    add("--deselect", action="append", default=[], metavar="ID", help="leave these cells out")
    add("--lf", dest="last_failed", action="store_true", help="only the cells that failed in the last session")
    add("--shard", type=_shard, metavar="I/N", help="only the I-th of N parts of these, for N machines; store merge "
        "joins what they leave")  # fmt: skip
    add("--collect-only", "--co", action="store_true", help="list the cells and stop")
    add("--dry-run", action="store_true", help="tell how many trainings that needs, what of it the store has, and how "
        "many hours it may take, and stop")  # fmt: skip


def _how(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "-n",
        type=_workers,
        default="auto",
        metavar="N",
        help="worker processes (default auto: one a core, or one a GPU; on Ray as many as there is work for); 0: none, for "
        "a debugger",
    )
    add("--dist", choices=("local", "ray"), default="local", help="where the workers are: on this machine (default), or "
        "on a Ray cluster")  # fmt: skip
    add("--ray-address", metavar="A", help="which one: host:port, or auto for the one that this machine is part of "
        "(default: that of RAY_ADDRESS, else one is started here)")  # fmt: skip
    add("--threads", type=_positive, default=1, metavar="T", help="threads of each worker (default 1; changes the "
        "last bits of results)")  # fmt: skip
    add("--device", type=_device, default="auto", metavar="D", help="cpu; cuda, all visible GPUs; cuda:N, one of them; "
        "mps; auto (default): cuda where there is a GPU that torch can use, else cpu")  # fmt: skip
    add("--precision", choices=PRECISIONS, default="float32", help="of the forward passes (default float32); weights, "
        "optimisers, scores and masks are float32 in either case")  # fmt: skip
    add("--evaluate-in", choices=PRECISIONS, help="precision of the evaluations that are reported (default: that of "
        "--precision); how far the dense outcomes agree with it is reported, too")  # fmt: skip
    add("--store", default=".smc-harness", metavar="DIR", help="where results and trained states are kept")
    add("--cache-clear", action="store_true", help="empty the store first")
    add("--data-dir", metavar="DIR", help="folder of local datasets")
    add("--model-dir", metavar="DIR", help="folder of local checkpoints, each in a folder named by its hub id or the "
        "last part of it; without it, they come from the hub")  # fmt: skip
    add("--timeout", type=_seconds, metavar="SECONDS", help="stop a cell, or a dense training, that takes longer "
        "(default: none is)")  # fmt: skip
    add("-x", "--exitfirst", dest="maxfail", action="store_const", const=1, default=None,
        help="stop at the first cell that fails or ends in error")  # fmt: skip
    add("--maxfail", type=_positive, metavar="N", help="stop after N of them")
    add("-p", dest="plugins", action="append", default=[], metavar="NAME", help="load a session plugin; no:NAME: do "
        "without it")  # fmt: skip
    add("--strict-plugins", action="store_true", help="exit with 7 if a plugin fails to load")
    add("--debug", action="store_true", help="show tracebacks")


def _judge(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--search", choices=SEARCHES, default="until-fail", help="which levels to measure (default until-fail)")
    add("--resolution", type=_share, metavar="X", help="measure levels in between, too, until the first fail is known "
        "as closely as this (0.01: to a hundredth of the weights)")  # fmt: skip
    add("--verdict", choices=RULES, default="tolerance", help="tolerance: by the scores alone (default); "
        "noninferiority: paired over the examples, with a third answer where they are too few")  # fmt: skip
    add("--tolerance", type=tolerance, action="append", default=[], metavar="[TASKS=]X", help="largest drop that "
        "passes: a share of dense (default 0.01), or 0.5abs, an amount in the metric's unit; opus-*=0.5abs for some "
        "tasks; the last one that fits holds")  # fmt: skip
    add("--no-dense-check", action="store_true", help="run cells whose dense model is no better than chance, too")
    add("--strict", action="store_true", help="exit with 1 if a cell fails, or is inconclusive")
    add("--baseline", metavar="FILE", help="compare with this baseline, and exit with 1 if a pruner got worse by more "
        "than the tolerance, beyond chance")  # fmt: skip
    add("--update-baseline", action="store_true", help="then put what this run measured into FILE, in place of what it "
        "has of the same tasks and pruners; a regression is accepted by that")  # fmt: skip


def _output(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("-v", "--verbose", action="count", default=0, help="a line for each cell")
    add("-q", "--quiet", action="count", default=0, help="only the closing table; twice: only the summary line")
    add("--durations", type=_positive, metavar="N", help="name the N slowest cells")
    add("--version", action=_Version, nargs=0, default=argparse.SUPPRESS, help="show program's version number and exit")


class _Version(argparse.Action):
    """Asks for the version when it is wanted: metadata take longer to read than all options to define."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from smc_harness import __version__

        print(f"smc-harness {__version__}")
        parser.exit()


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} given; a whole number from 1 on would work")
    return int(text)


def _workers(text: str) -> str:
    if text != "auto" and not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} given; a number of workers, or auto, would work")
    return text


def _device(text: str) -> str:
    if not re.fullmatch("auto|cpu|mps|cuda(:[0-9]+)?", text):
        raise argparse.ArgumentTypeError(
            f"{text!r} given; auto, cpu, cuda, cuda:0 (or another number) or mps would work"
        )
    return text


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} given; a number of seconds such as 3600 would work")
    return value


def _shard(text: str) -> tuple[int, int]:
    number, slash, of = text.partition("/")
    if not (slash and number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of)):
        raise argparse.ArgumentTypeError(f"{text!r} given; a part such as 1/4 would work")
    return int(number), int(of)


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.0 < value < 1.0:
        raise argparse.ArgumentTypeError(f"{text!r} given; a share between 0 and 1 such as 0.01 would work")
    return value


def tolerance(text: str) -> str:
    """The text, of which a margin can be read."""
    try:
        Margin.read(text.rpartition("=")[2])
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text
