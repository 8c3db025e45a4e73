from __future__ import annotations

from smc_harness.report.page import matrix
from tests.report import runs


def test_entries_are_coloured_and_ordered_by_where_they_fail() -> None:
    found = matrix.of(runs.run(["task"], [f"p{n:02}" for n in range(11)]))
    entries = {row.pruner: row.entries[0] for row in found.rows}
    assert [entries[f"p{n:02}"].colour for n in range(11)] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5]
    orders = [entries[f"p{n:02}"].order for n in range(11)]
    assert orders == sorted(orders, key=lambda order: order or 0.0)
    assert entries["p10"].lines[0].text == "none up to 0.893"


def test_what_is_not_known_has_no_colour() -> None:
    ((entry,),) = [row.entries for row in matrix.of(runs.broken()).rows]
    assert (entry.colour, entry.order, [line.text for line in entry.lines]) == (None, None, ["error"])


def test_several_seeds_have_a_median_and_a_range() -> None:
    found = matrix.of(runs.run(["task"], ["pruner"], seeds=3))
    assert [line.text for line in found.rows[0].entries[0].lines] == ["(0.2, 0.36]", "0.2 to 0.488, 3 seeds"]
    assert found.notes == ["of several seeds: the median one; where the first of them fails, and the last"]


def test_names_are_on_one_line() -> None:
    assert matrix.of(runs.hostile()).tasks[0] == runs.QUOTES.replace("\n", "\\n")
