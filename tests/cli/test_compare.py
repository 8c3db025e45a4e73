"""`compare RUN BASELINE`: the same decisions on saved runs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import memory
from tests.cli.test_main import HEAVY, imports_of
from tests.workshop import ROOT, Ran, Workshop

Command = Callable[..., Ran]
PLAN = ("--collect", "plugins", "--levels", "0.2,0.36", "--search", "grid", "-n", "0")


@pytest.fixture
def runs(command: Command, workshop: Workshop) -> Command:
    """Session 1 and was.json with 100 lost answers, b.json of it; session 2 and now.json with 200."""
    workshop.write("plugins/memory.py", memory.TASK)
    workshop.write("plugins/mine.py", memory.PRUNER.format(name="mine", lost=100))
    command(*PLAN, "--json", "was.json", "--baseline", "b.json", "--update-baseline")
    command(*PLAN, "--json", "now.json", "--set", "mine.lost=200")
    return command


@pytest.mark.parametrize("words", [("now.json", "b.json"), ("2", "b.json"), ("now.json", "was.json"), ("2", "1")])
def test_a_run_that_got_worse_is_told_from_file_and_session(runs: Command, words: tuple[str, str]) -> None:
    ran = runs("compare", *words)
    assert (ran.code, ran.err) == (1, "")
    _, heading, changed, line, summary = ran.out.splitlines()
    assert heading == f"beside {words[1]}"
    assert changed.startswith("changed: parameters of mine ")
    assert line.startswith("REGRESSION memory::mine at 0.2: 75.00 % -> 70.00 % (worse by 4.09 to 6.05 points; ")
    assert line.endswith("; 2000 examples, paired), and at 0.36")
    assert summary == "1 compared: 1 regression"


def test_the_other_way_round_it_got_better(runs: Command) -> None:
    ran = runs("compare", "1", "2")
    assert ran.code == 0
    assert "IMPROVEMENT memory::mine at 0.2: 70.00 % -> 75.00 %" in ran.out
    assert ran.out.endswith("1 compared: 1 improvement\n")


def test_a_run_is_unchanged_beside_itself(runs: Command) -> None:
    assert runs("compare", "was.json", "b.json") == Ran(0, "1 compared: 1 unchanged\n", "")


def test_another_tolerance_decides_otherwise(runs: Command) -> None:
    assert runs("compare", "2", "1", "--tolerance", "0.2").out.endswith("1 compared: 1 within\n")


def test_a_store_without_the_run_has_no_outcomes_to_compare(runs: Command) -> None:
    ran = runs("compare", "now.json", "b.json", "--store", "elsewhere")
    assert ran.code == 5  # nothing could be compared
    assert "UNKNOWN memory::mine at 0.2: 75.00 % -> 70.00 % (what chance could do is not known: " in ran.out
    assert "the outcomes are not in this --store" in ran.out
    assert not Path("elsewhere").exists()


def test_a_baseline_without_its_store_is_compared_by_its_errors(runs: Command, workshop: Workshop) -> None:
    runs(*PLAN, "--json", "now.json", "--set", "mine.lost=200", "--store", "other")
    ran = runs("compare", "now.json", "b.json", "--store", "other")
    assert ran.code == 1
    assert "2000 examples, by their intervals), and at 0.36" in ran.out


@pytest.mark.parametrize("plugins", [(), ("--collect", "plugins")])
def test_a_metric_that_is_no_mean_needs_its_plugin(
    command: Command, workshop: Workshop, plugins: tuple[str, ...]
) -> None:
    workshop.write("plugins/memory.py", memory.OWN_METRIC)
    workshop.write("plugins/mine.py", memory.PRUNER.format(name="mine", lost=0))
    words = (*PLAN, "--levels", "0.2", "--baseline", "b.json", "--json", "out.json")
    command(*words, "--update-baseline")
    command(*words, "--set", "mine.lost=200")
    ran = command("compare", "out.json", "b.json", *plugins)
    assert ran.code == (1 if plugins else 5)
    assert ("REGRESSION" if plugins else "UNKNOWN") + " memory::mine at 0.2: 89.44 points -> 83.67 points" in ran.out


def test_programs_get_the_comparison(runs: Command) -> None:
    ran = runs("compare", "2", "1", "--json", "-")
    found = json.loads(ran.out)
    assert set(found) == {
        "schema", "baseline", "there", "pairs", "drift", "only_in_baseline", "only_in_run"
    }  # fmt: skip
    assert found["pairs"][0]["change"] == "regression"
    assert runs("compare", "2", "1", "--json", "out.json").out != ""
    assert json.loads(Path("out.json").read_text()) == found


def test_torch_is_not_imported(runs: Command, workshop: Workshop) -> None:
    done, imported = imports_of("compare", "2", "1", folder=workshop.folder)
    assert done.returncode == 1
    assert imported & HEAVY <= {"rich", "numpy", "safetensors"}


def test_an_earlier_study_is_compared_with_itself(command: Command) -> None:
    shutil.copy(ROOT / "docs/results/mawps-gts.json", "study.json")
    assert command("compare", "study.json", "study.json") == Ran(0, "11 compared: 11 unchanged\n", "")


def test_runs_of_other_things_have_nothing_to_compare(runs: Command) -> None:
    shutil.copy(ROOT / "docs/results/mawps-gts.json", "study.json")
    ran = runs("compare", "study.json", "b.json")
    assert ran.code == 5
    assert "in the baseline alone: memory::mine" in ran.out
    assert "in this run alone: mawps-gts::gmp, mawps-gts::lth, mawps-gts::magnitude-after and 8 more" in ran.out
    assert ran.out.endswith("0 compared\n")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["now.json"], "the following arguments are required: BASELINE"),
        (["now.json", "no.json"], "no.json: No such file or directory; a file that --json wrote would work"),
        (["b.json", "b.json"], "b.json: these are not the results of a run"),
        (["now.json", "odd.json"], "odd.json: this is no baseline; a file that --update-baseline wrote would work"),
        (["now.json", "9"], "9: no such file, and no such session in .smc-harness"),
        (["now.json", "b.json", "--tolerance", "2"], "'2' given; a share of dense such as 0.01, or an amount"),
        (["now.json", "b.json", "--colect", "x"], "unknown option --colect; did you mean '--collect'?"),
        (["now.json", "b.json", "--json", "no/where"], "--json no/where: No such file or directory"),
    ],
)
def test_bad_input_is_one_line(runs: Command, workshop: Workshop, words: list[str], expected: str) -> None:
    workshop.write("odd.json", '{"kind": "odd"}')
    ran = runs("compare", *words)
    assert (ran.code, ran.err.count("\n")) == (4, 1)
    assert expected in ran.err
