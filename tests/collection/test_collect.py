from __future__ import annotations

import argparse
from types import SimpleNamespace
from typing import Any

import pytest

from smc_harness import hookimpl
from smc_harness.cells import Cell
from smc_harness.cli.options import run_parser
from smc_harness.collection.collect import Collection, build, collect, select
from smc_harness.config import Config, new_manager, parse
from smc_harness.discovery.loading import Plugin
from smc_harness.errors import UsageError
from tests.toys import plugin

LEVELS = (0.2, 0.5)


def pruner(name: str, **attributes: Any) -> Plugin:
    return plugin("pruner", name, SimpleNamespace(**{"phase": "after"} | attributes))


def task(name: str) -> Plugin:
    return plugin("task", name, SimpleNamespace())


def ids(cells: list[Cell]) -> list[str]:
    return [cell.id for cell in cells]


CELLS = build(
    [task("csqa"), task("csqa-mini"), task("mawps")], [pruner("snip"), pruner("snip-64"), pruner("lth")], LEVELS, 2, ""
)


def selected(*words: str, failed: set[str] | None = None) -> list[str]:
    options: argparse.Namespace = parse(run_parser(), words)
    return ids(select(CELLS, options, None if failed is None else lambda: failed))


def test_cells_are_the_cross_product_in_the_order_tasks_pruners_seeds_levels() -> None:
    assert ids(build([task("b"), task("a")], [pruner("p")], (0.5, 0.2), 2, "paper")) == [
        "b::p[0.2,seed0]",
        "b::p[0.5,seed0]",
        "b::p[0.2,seed1]",
        "b::p[0.5,seed1]",
        "a::p[0.2,seed0]",
        "a::p[0.5,seed0]",
        "a::p[0.2,seed1]",
        "a::p[0.5,seed1]",
    ]


def test_a_pruner_with_levels_of_its_own_has_those_in_place_of_the_grid() -> None:
    cells = build([task("t")], [pruner("nm", levels=(0.75, 0.5, 0.5)), pruner("p")], LEVELS, 1, "paper")
    assert ids(cells) == ["t::nm[0.5,seed0]", "t::nm[0.75,seed0]", "t::p[0.2,seed0]", "t::p[0.5,seed0]"]


def test_a_cell_knows_phase_scope_and_parameters() -> None:
    (cell,) = build([task("t")], [pruner("p", phase="before")], [0], 1, "backbone")
    assert (cell.phase, cell.scope, cell.level, type(cell.level)) == ("before", "backbone", 0.0, float)
    assert cell.params_digest == pruner("p").params_digest


def test_every_id_is_there_once() -> None:
    assert len(set(ids(CELLS))) == len(CELLS) == 3 * 3 * 2 * 2


def test_an_exact_id_selects_its_cell_although_it_reads_as_a_glob() -> None:
    assert selected("csqa::snip[0.2,seed0]") == ["csqa::snip[0.2,seed0]"]


def test_a_task_or_a_task_and_pruner_select_all_their_cells_and_no_others() -> None:
    assert len(selected("csqa")) == 12
    assert selected("csqa::snip") == [f"csqa::snip[{level},seed{seed}]" for seed in (0, 1) for level in LEVELS]


def test_brackets_in_a_glob_are_plain() -> None:
    assert selected("*::lth[0.2,seed1]") == [f"{name}::lth[0.2,seed1]" for name in ("csqa", "csqa-mini", "mawps")]
    assert len(selected("mawps::snip*")) == 8
    assert selected("mawps::???[0.5,seed?]") == ["mawps::lth[0.5,seed0]", "mawps::lth[0.5,seed1]"]


def test_ids_add_up_and_keep_the_order_of_collection() -> None:
    assert selected("mawps::lth[0.2,seed0]", "csqa::lth[0.2,seed0]", "csqa::lth[0.2,seed0]") == [
        "csqa::lth[0.2,seed0]",
        "mawps::lth[0.2,seed0]",
    ]


@pytest.mark.parametrize("option", [[], ["--deselect"]])
def test_an_unknown_id_is_refused_with_the_nearest(option: list[str]) -> None:
    with pytest.raises(UsageError, match=r"csqa::snap\[0.2,seed0\]: no cell has this id; did you mean 'csqa::snip\["):
        selected(*option, "csqa::snap[0.2,seed0]")


def test_deselect_takes_ids_prefixes_and_globs() -> None:
    words = ["csqa::snip", "csqa::lth[0.2,seed0]", "*-mini::*", "mawps"]
    left = selected(*(word for text in words for word in ("--deselect", text)))
    assert left == [name for name in selected("csqa") if "::snip[" not in name and name != "csqa::lth[0.2,seed0]"]


def test_deselecting_what_another_option_left_out_is_no_error() -> None:
    assert len(selected("csqa", "--deselect", "mawps")) == 12


def test_a_keyword_narrows_the_ids() -> None:
    assert selected("csqa", "-k", "lth and not seed1") == ["csqa::lth[0.2,seed0]", "csqa::lth[0.5,seed0]"]
    assert selected("-k", "nothing") == []


def test_last_failed_narrows_to_what_failed_or_selects_all_where_nothing_did() -> None:
    assert selected("--lf", failed={"csqa::lth[0.2,seed0]", "gone::x[0.1,seed0]"}) == ["csqa::lth[0.2,seed0]"]
    assert len(selected("--lf", failed=set())) == len(CELLS)
    assert len(selected(failed={"csqa::lth[0.2,seed0]"})) == len(CELLS)
    assert selected("mawps", "--lf", failed={"csqa::lth[0.2,seed0]"}) == []


def collected(*words: str, session_plugin: object = None) -> Collection:
    manager = new_manager()
    if session_plugin is not None:
        manager.register(session_plugin)
    return collect(Config(parse(run_parser(), words), manager))


ONE = ("--tasks", "commonsense-mini", "--pruners", "snip", "--levels", "0.2,0.5")


def test_tasks_and_pruners_are_chosen_by_comma_separated_globs() -> None:
    found = collected("--tasks", "comm*, arith*-mini", "--pruners", "magnitude-[ab]*,snip", "--levels", "0.5")
    assert list(found.tasks) == ["arithmetic-mini", "commonsense-mini"]
    assert list(found.pruners) == ["magnitude-after", "magnitude-before", "snip"]
    assert len(found.cells) == 6


def test_what_was_deselected_is_counted() -> None:
    found = collected(*ONE, "-k", "0.2")
    assert (len(found.cells), found.deselected) == (1, 1)


def test_a_setting_for_a_plugin_that_does_not_run_is_refused() -> None:
    with pytest.raises(UsageError, match=r"--set snap: no such task or pruner in this run; did you mean 'snip'\?"):
        collected(*ONE, "--set", "snap.batches=8")
    with pytest.raises(UsageError, match="--set lth: no such task or pruner in this run"):
        collected(*ONE, "--set", "lth.rewind=0.1")


def test_a_setting_changes_the_digest_that_a_cell_shows() -> None:
    digests = {
        collected(*ONE, *more).cells[0].params_digest
        for more in ((), ("--set", "snip.batches=9"), ("--set", "snip.allocation=erk"), ("--set", "snip.pattern=4x4"))
    }
    assert len(digests) == 4


class Modifying:
    def __init__(self, deed: Any) -> None:
        self.deed = deed

    @hookimpl
    def modify_cells(self, cells: list[Cell]) -> None:
        self.deed(cells)


def test_a_session_plugin_may_drop_reorder_and_add_cells() -> None:
    assert ids(collected(*ONE, session_plugin=Modifying(lambda cells: cells.reverse())).cells) == [
        "commonsense-mini::snip[0.5,seed0]",
        "commonsense-mini::snip[0.2,seed0]",
    ]
    more = Modifying(lambda cells: cells.append(Cell("commonsense-mini", "snip", 0.9, 0)))
    assert ids(collected(*ONE, session_plugin=more).cells)[-1] == "commonsense-mini::snip[0.9,seed0]"
    assert collected(*ONE, session_plugin=Modifying(lambda cells: cells.clear())).cells == []


@pytest.mark.parametrize(
    ("cell", "remedy"),
    [
        (Cell("other", "snip", 0.5, 0), "a cell of this run's tasks and pruners would work"),
        (Cell("commonsense-mini", "other", 0.5, 0), "a cell of this run's tasks and pruners would work"),
        (Cell("commonsense-mini", "snip", 1.0, 0), r"a level in \[0, 1\) would work"),
        (Cell("commonsense-mini", "snip", 0.5, 0), "which is there already; once would work"),
    ],
)
def test_a_cell_that_cannot_be_run_is_refused(cell: Cell, remedy: str) -> None:
    with pytest.raises(UsageError, match=remedy):
        collected(*ONE, session_plugin=Modifying(lambda cells: cells.append(cell)))


def test_an_id_is_one_line_whatever_the_plugins_are_called() -> None:
    (cell,) = build([task("line\nbreak")], [pruner('<b>"é" [x]\x1b[31m')], [0.5], 1, "")
    assert cell.id == 'line\\nbreak::<b>"é" [x]\\x1b[31m[0.5,seed0]'
    assert select([cell], parse(run_parser(), [cell.id])) == [cell]


def test_shards_are_a_partition_in_which_dense_models_stay_together() -> None:
    parts = [selected("--shard", f"{number}/4") for number in (1, 2, 3, 4)]
    assert sorted(cell for part in parts for cell in part) == sorted(ids(CELLS))
    assert [len(part) for part in parts] == [8, 10, 8, 10]
    # 6 dense models, and 3 cuts between 4 parts
    assert sum(len({(cell.split("::")[0], cell[-2]) for cell in part}) for part in parts) <= 6 + 3


def test_a_shard_cuts_no_trajectory_and_no_pool() -> None:
    cells = build([task("t")], [pruner("a"), pruner("b"), pruner("c")], LEVELS, 2, "", together=True)
    options = [parse(run_parser(), ("--shard", f"{number}/2")) for number in (1, 2)]
    assert [{cell.pruner for cell in select(cells, each)} for each in options] == [{"a"}, {"b", "c"}]


def test_more_shards_than_trajectories_leave_some_empty() -> None:
    assert sum(bool(selected("csqa::snip", "--shard", f"{number}/9")) for number in range(1, 10)) == 2


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b", "1/0"])
def test_a_shard_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="a part such as 1/4 would work"):
        parse(run_parser(), ("--shard", text))
