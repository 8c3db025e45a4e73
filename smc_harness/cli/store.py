"""`smc-harness store check|merge|prune`: the keeping of a store."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from smc_harness.cells import counted
from smc_harness.config import Parser
from smc_harness.errors import ExitCode
from smc_harness.store import folder, upkeep
from smc_harness.store.results import Results, existing

_EPILOG = """\
examples:
  smc-harness store check                        is everything as it was written?
  smc-harness store merge --store all one two    what the stores one and two have, in the store all
  smc-harness store prune --older-than 30        give back the room of trained states that are a month old
"""
_DAY = 24 * 3600.0


def parser() -> Parser:
    """The parser of `smc-harness store`."""
    parser = Parser(
        prog="smc-harness store",
        description="Look through a store, join others to it, or give back room.",
        epilog=_EPILOG,
    )
    add = parser.add_argument
    add("what", choices=["check", "merge", "prune"])
    add("others", nargs="*", metavar="DIR", help="merge: the stores to take from")
    add("--store", default=".smc-harness", metavar="DIR", help="the store (default .smc-harness)")
    add("--remove", action="store_true", help="check: take out what is damaged; runs pass over it in any case")
    add("--older-than", type=float, default=0.0, metavar="DAYS", help="prune: only states of that age (default all)")
    return parser


def main(arguments: Sequence[str]) -> int:
    """Returns the exit code: 1 where `check` found damage. Raises UsageError and StoreError."""
    found = parser()
    options = found.parse_intermixed_args(list(arguments))
    store = Path(options.store)
    if bool(options.others) != (options.what == "merge"):
        found.error("store merge DIR ... takes other stores; check and prune take none")
    if options.what == "merge":
        return _merge(folder.prepare(store), [Path(other) for other in options.others])
    with closing(existing(store)) as results:
        return _check(store, results, options.remove) if options.what == "check" else _prune(store, options.older_than)


def _check(store: Path, results: Results, remove: bool) -> int:
    found = upkeep.check(store, results, remove)
    for what in found.damaged:
        print(f"damaged{', removed' if remove else ''}: {what}")
    whole = f"{counted(found.measurements, 'measurement')}, {counted(found.artifacts, 'state')} ({_size(found.size)})"
    print(f"{store}: {whole} are as they were written" + (f"; {len(found.damaged)} are not" if found.damaged else ""))
    return ExitCode.REGRESSION if found.damaged and not remove else ExitCode.DONE


def _merge(store: Path, others: Sequence[Path]) -> int:
    opened = [(other, existing(other)) for other in others]
    with closing(Results(store)) as results:
        for other, theirs in opened:
            taken = upkeep.merge(store, results, other, theirs)
            print(
                f"{other}: {counted(taken.measurements, 'measurement')}, {counted(taken.artifacts, 'state')} taken over"
            )
            theirs.close()
    return ExitCode.DONE


def _prune(store: Path, days: float) -> int:
    removed = upkeep.prune(store, days * _DAY)
    print(f"{store}: {counted(removed.artifacts, 'state')} removed, {_size(removed.size)}")
    return ExitCode.DONE


def _size(count: int) -> str:
    return f"{count / 2**20:.1f} MiB" if count < 2**30 else f"{count / 2**30:.1f} GiB"
