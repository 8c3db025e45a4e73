"""`run --baseline`: a run beside what an earlier one wrote."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from smc_harness import session as sessions
from smc_harness.baseline.file import read
from tests import memory
from tests.workshop import Ran, Workshop

Command = Callable[..., Ran]
PLAN = ("--collect", "plugins", "--levels", "0.2,0.36", "--search", "grid", "-n", "0")
BESIDE = "beside b.json"


@pytest.fixture
def measured(command: Command, workshop: Workshop) -> Command:
    """Runs the task `memory` beside b.json, which holds a run of the pruner `mine`."""

    def run(*words: str) -> Ran:
        return command(*PLAN, "--baseline", "b.json", *words)

    workshop.write("plugins/memory.py", memory.TASK)
    workshop.write("plugins/mine.py", memory.PRUNER.format(name="mine", lost=100))
    ran = run("--update-baseline")
    assert (ran.code, ran.err) == (0, "smc-harness: b.json is written\n")
    assert BESIDE not in ran.out
    return run


def told(ran: Ran) -> list[str]:
    """What is said of the baseline."""
    _, found, text = ran.out.partition(BESIDE)
    return text.strip().splitlines() if found else []


def test_a_plugin_that_got_worse_by_5_points_is_caught_with_its_examples_and_without(workshop: Workshop) -> None:
    words = (*PLAN, "--baseline", "b.json")
    workshop.write("plugins/memory.py", memory.TASK)
    workshop.write("plugins/mine.py", memory.PRUNER.format(name="mine", lost=0))
    assert workshop.run(*words, "--update-baseline").code == 0
    again = workshop.run(*words)
    assert (again.code, again.err, told(again)) == (0, "", [])
    assert {pair["change"] for pair in again.report["baseline"]["pairs"]} == {"unchanged"}
    text = (workshop.folder / "plugins/mine.py").read_text()
    workshop.write("plugins/mine.py", text.replace("context.params.lost", "100"))
    for store, how in ((".smc-harness", "paired"), ("fresh", "by their intervals")):
        worse = workshop.run(*words, "--store", store)
        assert worse.code == 1
        (line,) = told(worse)
        assert line.startswith("REGRESSION memory::mine at 0.2: 80.00 % -> 75.00 % (worse by ")
        assert line.endswith(f"; 2000 examples, {how}), and at 0.36, first fail none up to 0.36 -> (-, 0.2]")
        (pair,) = worse.report["baseline"]["pairs"]
        assert [level["change"] for level in pair["levels"]] == ["regression"] * 2
        low, high = pair["levels"][0]["worse"]
        assert 0.008 < low < 0.05 < high < 0.1


def test_an_unchanged_rerun_is_silent(measured: Command) -> None:
    before = Path("b.json").read_text()
    ran = measured()
    assert (ran.code, ran.err, told(ran)) == (0, "", [])
    assert measured("--update-baseline").err == ""
    assert Path("b.json").read_text() == before


def test_a_method_that_got_better_is_reported(measured: Command) -> None:
    ran = measured("--set", "mine.lost=0", "--json", "out.json")
    assert (ran.code, ran.err) == (0, "")
    changed, line = told(ran)
    assert changed.startswith("changed: parameters of mine ")
    assert line.startswith("IMPROVEMENT memory::mine at 0.2: 75.00 % -> 80.00 % (better by 4.")
    assert line.endswith("paired), and at 0.36, first fail (-, 0.2] -> none up to 0.36")
    (pair,) = json.loads(Path("out.json").read_text())["baseline"]["pairs"]
    assert pair["change"] == "improvement"


@pytest.mark.parametrize("lost", [90, 110])
def test_what_is_within_the_tolerance_is_no_change(measured: Command, lost: int) -> None:
    ran = measured("--set", f"mine.lost={lost}", "--json", "out.json")
    assert ran.code == 0
    assert [line.split()[0] for line in told(ran)] == ["changed:"]
    (pair,) = json.loads(Path("out.json").read_text())["baseline"]["pairs"]
    assert pair["change"] == "within"


def test_the_tolerance_is_the_runs(measured: Command) -> None:
    ran = measured("--set", "mine.lost=200", "--tolerance", "0.2")
    assert ran.code == 0
    assert "changed: tolerance of memory 0.01 -> 0.2" in told(ran)


def test_a_first_fail_that_moved_with_no_level_is_a_note(measured: Command) -> None:
    # the dense score is 0.8: 116 lost answers are a drop of 7.25 %, and 108 one of 6.75 %
    measured("--tolerance", "0.07", "--update-baseline", "--set", "mine.lost=116")
    ran = measured("--tolerance", "0.07", "--set", "mine.lost=108")
    assert ran.code == 0
    *_, note = told(ran)
    moved, known = "first fail (-, 0.2] -> none up to 0.36", "no level is worse or better beyond tolerance and chance"
    assert note == f"memory::mine {moved}, and {known}"


def test_a_baseline_that_is_not_there_is_a_notice(command: Command, workshop: Workshop) -> None:
    workshop.toy()
    workshop.pruner("mine")
    ran = command(*PLAN, "--baseline", "b.json", "--json", "out.json")
    assert (ran.code, told(ran)) == (0, ["not there yet; --update-baseline writes it"])
    assert not Path("b.json").exists()
    assert json.loads(Path("out.json").read_text())["baseline"]["there"] is False


def test_who_writes_the_baseline_anew_has_accepted_what_it_shows(measured: Command) -> None:
    ran = measured("--set", "mine.lost=200", "--update-baseline")
    assert (ran.code, ran.err) == (0, "smc-harness: b.json is written\n")
    assert "REGRESSION memory::mine" in ran.out
    assert told(measured("--set", "mine.lost=200")) == []


def test_an_update_replaces_what_the_run_measured_and_leaves_the_rest(measured: Command, workshop: Workshop) -> None:
    workshop.write("plugins/other.py", memory.PRUNER.format(name="other", lost=0))
    ran = measured("--pruners", "other", "--update-baseline")
    assert told(ran) == ["in the baseline alone: memory::mine", "in this run alone: memory::other"]
    mine = read(Path("b.json"))["memory", "mine"]
    assert sorted(read(Path("b.json"))) == [("memory", "mine"), ("memory", "other")]
    measured("--pruners", "other", "--levels", "0.2", "--update-baseline")
    entries = read(Path("b.json"))
    assert [point.level for point in entries["memory", "other"].points] == [0.2]
    assert entries["memory", "mine"] == mine


def test_cells_that_ended_in_error_are_not_written(command: Command, workshop: Workshop) -> None:
    broken = "    assert (model.weight == 0).sum() < 1000\n    answered ="
    workshop.write("plugins/memory.py", memory.TASK.replace("    answered =", broken))
    workshop.write("plugins/mine.py", memory.PRUNER.format(name="mine", lost=0))
    assert command(*PLAN, "--baseline", "b.json", "--update-baseline").code == 6
    (entry,) = read(Path("b.json")).values()
    assert [point.level for point in entry.points] == [0.2]
    assert command(*PLAN, "--levels", "0.36", "--baseline", "c.json", "--update-baseline").err == (
        "smc-harness: c.json is left as it was: nothing was measured\n"
    )


def test_an_interrupted_run_writes_nothing_and_says_so(measured: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    before = Path("b.json").read_text()

    def interrupted(self: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sessions.Driver, "run", interrupted)
    ran = measured("--update-baseline")
    assert (ran.code, ran.err) == (2, "smc-harness: b.json is left as it was: the run was interrupted\n")
    assert Path("b.json").read_text() == before


def test_an_error_or_an_interruption_comes_before_a_regression(measured: Command, workshop: Workshop) -> None:
    workshop.write("plugins/broken.py", memory.PRUNER.format(name="broken", lost=1).replace("-1", "float('nan')"))
    assert measured("--set", "mine.lost=200").code == 6
    assert measured("--set", "mine.lost=200", "--pruners", "mine").code == 1


def test_what_was_measured_otherwise_is_named(measured: Command) -> None:
    text = Path("b.json").read_text()
    Path("b.json").write_text(
        text.replace('"torch": "', '"torch": "0.').replace('"dense": {"0": 0.8}', '"dense": {"0": 0.7}')
    )
    found = told(measured("--scope", "paper", "--seed", "4"))
    assert found[0].startswith("changed: torch 0.")
    assert found[1:] == ["changed: seed 0 -> 4", "changed: dense score of memory seed 0 0.7 -> 0.8"]


def test_fewer_examples_are_named_and_compared_unpaired(command: Command, workshop: Workshop) -> None:
    workshop.toy()
    workshop.pruner("mine")
    words = (*PLAN, "--baseline", "b.json", "--json", "out.json")
    command(*words, "--update-baseline")
    assert "changed: n of toy 160 -> 100" in told(command(*words, "--limit", "100"))
    (pair,) = json.loads(Path("out.json").read_text())["baseline"]["pairs"]
    assert not any(level["paired"] for level in pair["levels"])


@pytest.mark.parametrize("task", [memory.ERROR_RATE, memory.OWN_METRIC], ids=["less is better", "no mean"])
@pytest.mark.parametrize("store", [".smc-harness", "fresh"])
def test_other_metrics_have_their_direction_and_their_resampling(
    command: Command, workshop: Workshop, task: str, store: str
) -> None:
    workshop.write("plugins/memory.py", task)
    workshop.write("plugins/mine.py", memory.PRUNER.format(name="mine", lost=100))
    words = (*PLAN, "--baseline", "b.json", "--levels", "0.2", "--store", store)
    assert command(*PLAN, "--baseline", "b.json", "--levels", "0.2", "--update-baseline").code == 0
    worse, better = command(*words, "--set", "mine.lost=300"), command(*words, "--set", "mine.lost=0")
    assert (worse.code, better.code) == (1, 0)
    assert told(worse)[-1].startswith("REGRESSION memory::mine at 0.2: ")
    assert told(better)[-1].startswith("IMPROVEMENT memory::mine at 0.2: ")
    assert ("paired" in told(worse)[-1]) is (store != "fresh")


def test_names_are_shown_on_one_line(command: Command, workshop: Workshop) -> None:
    workshop.write("plugins/memory.py", memory.TASK)
    workshop.write("plugins/mine.py", memory.PRUNER.format(name='it\'s\n"mine"', lost=0))
    words = (*PLAN, "--baseline", "b.json")
    assert command(*words, "--update-baseline").code == 0
    text = Path("b.json").read_text().replace('"value": 0.8,', '"value": 0.9,')
    Path("b.json").write_text(text)
    ran = command(*words)
    assert ran.code == 1
    assert told(ran)[0].startswith('REGRESSION memory::it\'s\\n"mine" at 0.2: 90.00 % -> 80.00 %')


def test_seeds_are_taken_together(measured: Command) -> None:
    measured("--seeds", "2", "--update-baseline")
    ran = measured("--seeds", "2", "--set", "mine.lost=200")
    assert ran.code == 1
    assert "; 4000 examples, 2 seeds, paired" in told(ran)[-1]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--update-baseline"], "--update-baseline goes with --baseline FILE"),
        (["--baseline", "odd.json"], "--baseline odd.json: Expecting value: line 1 column 1 (char 0); a file that"),
        (["--baseline", "."], "--baseline .: Is a directory; a file that --update-baseline wrote would work"),
        (["--baseline", "no/b.json", "--update-baseline"], "--baseline no/b.json: a file in a folder that exists"),
    ],
)
def test_bad_input_is_one_line_before_the_run(
    command: Command, workshop: Workshop, words: list[str], expected: str
) -> None:
    workshop.toy()
    workshop.pruner("mine")
    workshop.write("odd.json", "odd")
    ran = command(*PLAN, *words)
    assert (ran.code, ran.out, ran.err.count("\n")) == (4, "", 1)
    assert expected in ran.err
    assert not (workshop.folder / ".smc-harness").exists()


def test_an_unchanged_rerun_does_without_torch(workshop: Workshop) -> None:
    from tests.cli.test_main import imports_of

    workshop.write("plugins/memory.py", memory.TASK)
    workshop.write("plugins/mine.py", memory.PRUNER.format(name="mine", lost=0))
    words = (*PLAN, "--baseline", "b.json")
    assert workshop.run(*words, "--update-baseline").code == 0
    workshop.run(*words, "--set", "mine.lost=100")
    for more, code in (((), 0), (("--set", "mine.lost=100"), 1)):
        done, imported = imports_of(*words, *more, folder=workshop.folder)
        assert done.returncode == code
        assert "torch" not in imported
