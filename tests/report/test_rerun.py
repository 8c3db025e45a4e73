from __future__ import annotations

import shlex
from collections.abc import Callable

import pytest

from smc_harness.cells import Cell
from smc_harness.cli.options import run_parser
from smc_harness.report.rerun import USUAL, command, words
from smc_harness.report.saved import read
from tests.report import runs
from tests.workshop import Ran, Workshop

CELL = Cell("one", "snip", 0.2, 0)
ASIDE = {
    *(
        "ids",
        "levels",
        "keyword",
        "deselect",
        "last_failed",
        "collect_only",
        "dry_run",
        "n",
        "cache_clear",
        "maxfail",
        "shard",
        "timeout",
        "dist",
        "ray_address",
        "strict_plugins",
    ),
    *("debug", "search", "resolution", "strict", "baseline", "update_baseline", "verbose", "quiet", "version", "help"),
    "durations",
}
"""Options that say which cells run, how, or what is shown of them."""


def test_every_option_of_a_run_matters_or_does_not() -> None:
    known = {action.dest: action.default for action in run_parser()._actions}
    assert set(known) == set(USUAL) | ASIDE
    assert {name: known[name] for name in USUAL} == USUAL


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"tolerance": []}, "smc-harness 'one::snip[0.2,seed0]'"),
        ({"verbose": 2, "n": "4", "json": "f.json", "keyword": "x"}, "smc-harness 'one::snip[0.2,seed0]'"),
        ({"set": ["a.b=c d"], "plugins": ["no:json"]}, "smc-harness -p no:json --set 'a.b=c d' 'one::snip[0.2,seed0]'"),
        ({"controls": True, "seed": -1}, "smc-harness --controls --seed=-1 'one::snip[0.2,seed0]'"),
        ({"levels": "0.2,0.5"}, "smc-harness 'one::snip[0.2,seed0]'"),
        ({"tolerance": 0.02}, "smc-harness --tolerance 0.02 'one::snip[0.2,seed0]'"),
    ],
)
def test_options_that_matter_are_repeated(options: dict[str, object], expected: str) -> None:
    run = runs.run(["one"], ["snip"], options={"tolerance": []} | options)
    assert command(run, CELL) == expected


def test_a_level_that_is_not_usual_is_asked_for() -> None:
    cell = Cell("one", "snip", 0.1 + 0.2, 0)
    expected = "smc-harness --levels 0.30000000000000004 'one::snip[0.30000000000000004,seed0]'"
    assert command(runs.run(["one"], ["snip"], options={"tolerance": []}), cell) == expected


def test_a_hostile_name_is_one_word() -> None:
    run = runs.hostile()
    for result in run.results:
        assert shlex.split(command(run, result.cell))[len(words(run)) :] == [result.cell.id]


def test_the_command_of_every_cell_finds_it_in_the_store(workshop: Workshop, command: Callable[..., Ran]) -> None:
    from smc_harness.report import rerun

    workshop.toy()
    workshop.pruner("mine")
    options = (
        "--collect",
        "plugins",
        "--levels",
        "0.2,0.99",
        "--resolution",
        "0.3",
        "--tolerance",
        "0.3",
        "--store",
        "s",
    )
    assert command(*options, "-n", "0", "--json", "first.json").code == 0
    run = read(workshop.folder / "first.json")
    measured = [result for result in run.results if result.value is not None]
    assert any(result.cell.level not in (0.2, 0.99) for result in measured)
    for result in measured:
        words = shlex.split(rerun.command(run, result.cell))[1:]
        ran = command(*words, "-n", "0", "--json", "again.json")
        assert ran.code == 0, ran.err
        (again,) = read(workshop.folder / "again.json").results
        assert (again.cell.id, again.value, again.verdict, again.cached) == (
            *(result.cell.id, result.value, result.verdict, True),
        )
