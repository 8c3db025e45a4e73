"""What a run refuses, collects, and returns. Real runs use the toy task and no workers."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable

import pytest

from smc_harness.config import PAPER_LEVELS
from smc_harness.store import folder
from smc_harness.store.results import Results
from tests.toys import PRUNER
from tests.workshop import ROOT, Ran, Workshop

Command = Callable[..., Ran]
ONE = ("--tasks", "commonsense-mini", "--pruners", "snip", "--levels", "0.5")
ONE_ID = "commonsense-mini::snip[0.5,seed0]"

# -- usage errors ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--tasks", "xyzzy"], "no task 'xyzzy'; smc-harness list tasks shows what there is\n"),
        (["--tasks", "xyzzy,comonsense-mini"], "no task 'xyzzy'"),
        (["--tasks", "comonsense-mini"], "no task 'comonsense-mini'; did you mean 'commonsense-mini'?"),
        (["--pruners", "snap"], "no pruner 'snap'; did you mean 'snip'?"),
        (["--pruners", "x*y"], "no pruner 'x*y'"),
        (["--levels", "1.0"], "--levels 1.0: 1.0 is outside [0, 1); a share of the weights such as 0.5 would work"),
        (["--levels", "half"], "--levels half: 'half' is not a number; 0.2,0.36 or paper would work"),
        (
            ["--set", "snip.batchs=8"],
            "snip has no parameter 'batchs'; did you mean 'batches'? (it has allocation, batches, compat, pattern)",
        ),
        (["--set", "snap.batches=8"], "--set snap: no such task or pruner in this run; did you mean 'snip'?"),
        (["--set", "snip.batches=many"], "snip.batches=many: a value of type int would work"),
        (["--set", "snip=8"], "--set snip=8: something like snip.batches=8 would work"),
        (["--set", "magnitude-after.x=8"], "magnitude-after has no parameter 'x' (it has allocation, compat, pattern)"),
        (["--variant", "a=snip,pattern=4:2"], "a: pattern=4:2 given; N:M such as 2:4, or ROWSxCOLUMNS such as 4x4"),
        (["--set", "gmp.updates=0"], "gmp: start=0.1, end=0.8, updates=0 given; 0 <= start < end <= 1 and updates"),
        (["--set", "snip.batches=0"], "snip: batches=0 given; a number of at least 1 would work"),
        (
            ["--set", "gmp.allocation=er"],
            "gmp: allocation=er given; global, uniform, erk, rows would work; did you mean",
        ),
        (["--variant", "gmp~random=gmp"], "gmp~random: so a control is called, which --controls adds; another name"),
        (["--variant", "snip-64"], "--variant snip-64: something like snip-64=snip,batches=64 would work"),
        (["--variant", "a=snap"], "--variant a: no pruner 'snap'; did you mean 'snip'?"),
        (
            ["--variant", "a=snip,batchs=3"],
            "a has no parameter 'batchs'; did you mean 'batches'? (it has allocation, batches, compat, pattern)",
        ),
        (["--variant", "snip=gmp"], "--variant snip: there is a pruner of that name; another name would work"),
        (["--colect", "x"], "unknown option --colect; did you mean '--collect'?"),
        (["protein-mini::snip[0.2,seed1]"], "protein-mini::snip[0.2,seed1]: no cell has this id; did you mean"),
        (["--deselect", "nothing"], "--deselect nothing: no cell has this id"),
        (
            ["-k", "snip and"],
            "-k 'snip and': unexpected 'the end'; something like 'snip and not arithmetic' would work",
        ),
        (["--collect", "nowhere"], "--collect nowhere: no such file or folder"),
        (["-n", "x"], "argument -n: 'x' given; a number of workers, or auto, would work"),
        (
            ["--device", "gpu"],
            "argument --device: 'gpu' given; auto, cpu, cuda, cuda:0 (or another number) or mps would work",
        ),
        (["--precision", "float16"], "argument --precision: invalid choice: 'float16'"),
        (["-p", "jsn"], "-p jsn: no such session plugin; did you mean 'json'?"),
        (["-p"], "argument -p: expected one argument"),
        (["--search", "fast"], "argument --search: invalid choice: 'fast'"),
        (["--json", "nowhere/f.json"], "--json nowhere/f.json: a file in a folder that exists would work"),
        (["--json", "."], "--json .: a file in a folder that exists would work"),
        (["--json", ""], "--json : a file in a folder that exists would work"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
@pytest.mark.parametrize("collect_only", [True, False], ids=["collect", "run"])
def test_bad_input_is_one_line_and_exit_code_4(
    command: Command, words: list[str], expected: str, collect_only: bool
) -> None:
    done = command(*words, *(["--collect-only"] if collect_only else []))
    assert (done.code, done.out) == (4, "")
    assert done.err.startswith(f"smc-harness: {expected}")
    assert done.err.count("\n") == 1


def test_a_bad_key_of_pyproject_is_a_usage_error(command: Command, workshop: Workshop) -> None:
    workshop.write("pyproject.toml", "[tool.smc-harness]\nlevles = [0.5]\n")
    assert command() == Ran(
        4, "", "smc-harness: pyproject.toml: [tool.smc-harness] has no option 'levles'; did you mean 'levels'?\n"
    )


def test_a_store_that_is_no_store_is_a_usage_error(command: Command, workshop: Workshop) -> None:
    workshop.write("mine/precious.txt", "")
    done = command(*ONE, "--store", "mine")
    assert (done.code, done.err.count("\n")) == (4, 1)
    assert "--store mine: a folder with other things in it; an empty or new one would work" in done.err


def test_a_store_of_a_newer_schema_is_a_usage_error(command: Command, workshop: Workshop) -> None:
    Results(folder.prepare(workshop.folder / "kept")).close()
    connection = sqlite3.connect(workshop.folder / "kept/results.sqlite")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    done = command(*ONE, "--store", "kept")
    assert (done.code, done.err.count("\n")) == (4, 1)
    assert "written by a newer smc-harness (schema 99" in done.err


def reader(workshop: Workshop) -> None:
    path = workshop.toy()
    path.write_text(path.read_text() + "\n@hookimpl\ndef data_files():\n    return ['a.csv', 'sub/b.csv']\n")


def test_a_task_that_needs_data_dir_says_so(command: Command, workshop: Workshop) -> None:
    reader(workshop)
    done = command("--collect", "plugins", "--pruners", "snip", "-n", "0")
    assert done.code == 4
    assert done.err == "smc-harness: toy reads a.csv and needs --data-dir DIR, the folder that holds it\n"


def test_a_data_dir_without_the_files_says_which_are_missing(command: Command, workshop: Workshop) -> None:
    reader(workshop)
    workshop.write("data/a.csv", "")
    done = command("--collect", "plugins", "--pruners", "snip", "-n", "0", "--data-dir", "data")
    assert done.code == 4
    assert done.err.count("\n") == 1
    assert done.err.rstrip().endswith("data: toy needs sub/b.csv: not there")


# -- collecting --------------------------------------------------------------------------------------------------


def cells(done: Ran) -> list[str]:
    found = json.loads(done.out)
    assert set(found) == {"schema", "cells"}
    return [cell["id"] for cell in found["cells"]]


def test_collect_only_lists_tasks_times_pruners_times_levels(command: Command, workshop: Workshop) -> None:
    workshop.toy()
    workshop.pruner("one")
    workshop.pruner("two", "before")
    done = command("--collect", "plugins", "--collect-only", "--json", "-", "--seeds", "2")
    assert done.code == 0
    assert cells(done) == [
        f"toy::{pruner}[{level},seed{seed}]" for pruner in ("one", "two") for seed in (0, 1) for level in PAPER_LEVELS
    ]
    assert json.loads(done.out)["cells"][0] == {
        "id": "toy::one[0.2,seed0]",
        "task": "toy",
        "pruner": "one",
        "level": 0.2,
        "seed": 0,
    }


def test_by_default_the_installed_pruners_run_on_the_mini_tasks(command: Command) -> None:
    tasks = {id_.partition("::")[0] for id_ in cells(command("--collect-only", "--json", "-"))}
    assert tasks == {"arithmetic-mini", "commonsense-mini", "protein-mini", "translation-mini"}


def test_a_collected_pruner_runs_alone_on_the_mini_tasks(command: Command, workshop: Workshop) -> None:
    workshop.pruner("mine")
    found = cells(command("--collect", "plugins", "--collect-only", "--json", "-", "--levels", "0.5"))
    assert found == [
        f"{task}-mini::mine[0.5,seed0]" for task in ("arithmetic", "commonsense", "protein", "translation")
    ]


def test_collecting_our_own_folder_gives_our_own_pruners_once(command: Command) -> None:
    installed = command("--collect-only", "--json", "-")
    collected = command("--collect-only", "--json", "-", "--collect", str(ROOT / "plugins"))
    assert cells(collected) == cells(installed)
    assert collected.err == ""


def test_collected_lines_are_ids_and_a_count(command: Command) -> None:
    assert command(*ONE, "--co") == Ran(0, f"{ONE_ID}\n\n1 cell collected\n", "")
    assert command(*ONE, "--co", "--deselect", ONE_ID) == Ran(5, "\n0 cells collected, 1 deselected\n", "")


def test_json_to_a_file_leaves_the_lines(command: Command, workshop: Workshop) -> None:
    assert command(*ONE, "--co", "--json", "found.json").out.startswith(ONE_ID)
    assert [cell["id"] for cell in json.loads((workshop.folder / "found.json").read_text())["cells"]] == [ONE_ID]


def test_collecting_makes_no_store(command: Command, workshop: Workshop) -> None:
    command(*ONE, "--co", "--lf")
    assert list(workshop.folder.iterdir()) == []


def test_a_replaced_plugin_is_told_on_standard_error(command: Command, workshop: Workshop) -> None:
    workshop.pruner("snip")
    done = command("--collect", "plugins", *ONE, "--co", "--json", "-")
    assert cells(done) == [ONE_ID]
    assert done.err == "plugins/snip.py: takes the place of the installed pruner 'snip'\n"


@pytest.mark.parametrize("words", [["--co"], []])
def test_where_only_broken_plugins_are_collected_nothing_runs(
    command: Command, workshop: Workshop, words: list[str]
) -> None:
    workshop.write("broken.py", "1 / 0")
    done = command("--collect", "broken.py", *words)
    assert done.code == 5
    assert "PROBLEM broken.py: import failed: ZeroDivisionError: division by zero (broken.py, line 1)" in (
        done.err + done.out
    )


def test_nothing_collected_is_exit_code_5(command: Command) -> None:
    done = command(*ONE, "-k", "nothing")
    assert done.code == 5
    assert "no cells: nothing to run" in done.out


def test_strict_plugins_stops_before_running(command: Command, workshop: Workshop) -> None:
    workshop.write("broken.py", "1 / 0")
    done = command("--collect", "broken.py", *ONE, "--strict-plugins", "--json", "-")
    assert (done.code, json.loads(done.out)["cells"]) == (7, [])


def test_a_broken_installed_plugin_is_reported_and_the_good_one_of_its_distribution_loads(
    command: Command, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    workshop.write("site/other-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: other\nVersion: 1.0\n")
    workshop.write(
        "site/other-1.0.dist-info/entry_points.txt",
        "[smc_harness.pruners]\ngood = installed_good\nbad = installed_bad:best\n",
    )
    workshop.write("site/installed_good.py", PRUNER.format(name="good", phase="after"))
    workshop.write("site/installed_bad.py", "import nowhere_to_be_found")
    monkeypatch.syspath_prepend(workshop.folder / "site")
    words = ("--tasks", "commonsense-mini", "--levels", "0.5", "--co")
    done = command(*words, "--json", "-")
    assert "commonsense-mini::good[0.5,seed0]" in cells(done)
    assert done.err.startswith("PROBLEM entry point installed_bad:best: import failed: ModuleNotFoundError")
    assert done.err.count("\n") == 1
    assert command(*words, "--strict-plugins").code == 7
    workshop.write("site/third-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: third\nVersion: 1.0\n")
    workshop.write("site/third-1.0.dist-info/entry_points.txt", "[smc_harness.pruners]\ngood = elsewhere\n")
    monkeypatch.syspath_prepend(workshop.folder / "site")
    clash = command(*words)
    assert (clash.code, clash.err.count("\n")) == (4, 1)
    assert "two installed distributions offer a pruner named 'good'" in clash.err


def test_levels_of_a_pruner_replace_the_grid(command: Command, workshop: Workshop) -> None:
    path = workshop.pruner("nm")
    path.write_text(path.read_text() + "\nlevels = (0.5, 0.75)\n")
    words = ("--collect", "plugins", "--tasks", "commonsense-mini", "--pruners", "nm,snip", "--levels", "0.2")
    assert cells(command(*words, "--co", "--json", "-")) == [
        "commonsense-mini::nm[0.5,seed0]",
        "commonsense-mini::nm[0.75,seed0]",
        "commonsense-mini::snip[0.2,seed0]",
    ]


def test_the_level_of_a_pattern_replaces_the_grid(command: Command) -> None:
    words = ("--tasks", "commonsense-mini", "--pruners", "s24,quarter,erk", "--levels", "0.2", "--co", "--json", "-")
    variants = ("s24=snip,pattern=2:4", "quarter=gmp,pattern=1:4", "erk=snip,allocation=erk,batches=2")
    done = command(*words, *(word for text in variants for word in ("--variant", text)))
    assert cells(done) == [
        "commonsense-mini::erk[0.2,seed0]",
        "commonsense-mini::quarter[0.75,seed0]",
        "commonsense-mini::s24[0.5,seed0]",
    ]


def test_a_variant_whose_name_ends_in_a_tilde_runs(workshop: Workshop) -> None:
    workshop.toy()
    workshop.pruner("mine")
    ran = workshop.run("--collect", "plugins", "--levels", "0.5", "--variant", "x~=mine", "-n", "1")
    assert ran.code == 0 and ran.cells()["toy::x~[0.5,seed0]"]["value"] is not None


def test_controls_stand_beside_every_pruner_and_can_be_selected(command: Command) -> None:
    words = ("--tasks", "commonsense-mini", "--pruners", "snip", "--levels", "0.2", "--controls", "--co", "--json", "-")
    assert cells(command(*words)) == [
        f"commonsense-mini::{name}[0.2,seed0]" for name in ("snip", "snip~random", "snip~own-ratios")
    ]
    assert cells(command(*words, "-k", "own-ratios")) == ["commonsense-mini::snip~own-ratios[0.2,seed0]"]


def test_a_run_with_controls_says_whether_they_are_beaten(workshop: Workshop) -> None:
    workshop.toy()
    workshop.pruner("mine")
    ran = workshop.run("--collect", "plugins", "--levels", "0.5", "--controls", "-n", "1")
    assert ran.code == 0, ran.out + ran.err
    (compared,) = ran.report["controls"]
    assert (compared["task"], compared["pruner"], compared["seed"]) == ("toy", "mine", 0)
    assert {type(compared[name]) for name in ("beats_random", "beats_own_ratios")} == {bool}
    assert {cell["realised"] for cell in ran.report["cells"]} == {0.5}
    again = workshop.run("--collect", "plugins", "--levels", "0.5", "--controls", "-n", "1")
    assert all(cell["cached"] for cell in again.report["cells"])


def test_variants_and_settings_and_precedence_meet_in_the_cells(
    command: Command, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    workshop.write("pyproject.toml", '[tool.smc-harness]\nlevels = [0.2]\npruners = "snip,snip-64"\nseeds = 2\n')
    monkeypatch.setenv("SMC_HARNESS_ADDOPTS", "--levels 0.3 --variant snip-64=snip,batches=64")
    words = ("--tasks", "commonsense-mini", "--co", "--json", "-", "--seeds", "1")
    assert cells(command(*words)) == ["commonsense-mini::snip[0.3,seed0]", "commonsense-mini::snip-64[0.3,seed0]"]
    assert cells(command(*words, "--levels", "0.4", "--pruners", "snip")) == ["commonsense-mini::snip[0.4,seed0]"]


ODD_NAMES = ("<script>alert('1')</script>", 'with "quotes" and space', "[0.5,seed0]", "größer-☃", "a::b", "*", "x, y")


@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_names_work_through_ids_and_selection(command: Command, workshop: Workshop, name: str) -> None:
    workshop.toy()
    workshop.write("plugins/odd.py", PRUNER.format(name=name, phase="after"))
    workshop.pruner("other")
    words = ("--collect", "plugins", "--levels", "0.5", "--co")
    expected = f"toy::{name}[0.5,seed0]"
    assert expected in command(*words).out.splitlines()
    assert cells(command(*words, expected, "--json", "-")) == [expected]
    assert cells(command(*words, f"toy::{name}", "--json", "-")) == [expected]
    assert cells(command(*words, "--deselect", expected, "--json", "-")) == ["toy::other[0.5,seed0]"]
    if "," not in name:
        assert cells(command(*words, "--pruners", name, "--json", "-")) == [expected]


# -- real runs ---------------------------------------------------------------------------------------------------

BROKEN = {
    "missing": "import nowhere_to_be_found\nfrom smc_harness import hookimpl",
    "misspelt": PRUNER.format(name="misspelt", phase="after").replace("compute_scores", "compute_score"),
    "defaulted": PRUNER.format(name="defaulted", phase="after").replace("context)", "context=None)", 1),
    "shapeless": PRUNER.format(name="shapeless", phase="after").replace(".abs()", ".abs().flatten()"),
}


@pytest.fixture
def broken(workshop: Workshop) -> Workshop:
    workshop.toy()
    workshop.pruner("good")
    for name, text in BROKEN.items():
        workshop.write(f"plugins/{name}.py", text)
    return workshop


def test_broken_plugins_are_reported_by_name_reason_and_remedy_and_the_good_one_runs(broken: Workshop) -> None:
    done = broken.run("--collect", "plugins", "--levels", "0.2", "-n", "0")
    assert done.code == 6
    good = done.cells()["toy::good[0.2,seed0]"]
    assert (good["verdict"], good["error"]) == ("pass", None)
    assert good["value"] > 0.8
    assert good["realised"] == pytest.approx(0.2, abs=0.01)
    shapeless = done.cells()["toy::shapeless[0.2,seed0]"]
    assert (shapeless["verdict"], shapeless["value"]) == ("error", None)
    assert (
        "shapeless: scores['0.weight'] has shape (96,); the parameter's shape (16, 6) would work" in shapeless["error"]
    )
    lines = {line.split()[1].rstrip(":"): line for line in done.out.splitlines() if line.startswith(("PROB", "ERR"))}
    assert set(lines) == {
        "plugins/missing.py",
        "plugins/misspelt.py",
        "plugins/defaulted.py",
        "toy::shapeless[0.2,seed0]",
    }
    assert "is 'nowhere_to_be_found' installed" in lines["plugins/missing.py"]
    assert "misspelt: unknown hook 'compute_score'; did you mean 'compute_scores'?" in lines["plugins/misspelt.py"]
    assert "must not have a default" in lines["plugins/defaulted.py"]
    assert "Traceback" not in done.out + done.err


def test_broken_plugins_stop_the_run_under_strict_plugins(broken: Workshop, command: Command) -> None:
    done = command("--collect", "plugins", "--levels", "0.2", "-n", "0", "--strict-plugins")
    assert done.code == 7
    assert done.out.count("PROBLEM") == 3
    assert "seed0" not in done.out


def reported(done: Ran) -> Ran:
    """The same with what `--json -` wrote."""
    return Ran(done.code, done.out, done.err, json.loads(done.out))


def test_a_run_goes_from_fail_to_last_failed_and_out_of_the_store(command: Command, workshop: Workshop) -> None:
    workshop.toy()
    workshop.pruner("mine")
    words = ("--collect", "plugins", "--levels", "0.2,0.99", "-n", "0", "--json", "-")
    first = reported(command(*words))
    assert (first.code, [cell["verdict"] for cell in first.report["cells"]]) == (0, ["pass", "fail"])
    (one,) = first.report["first_fail"]
    assert one.pop("confidence") == {"low": None, "high": 0.99}  # 160 examples do not tell a drop of 1 %
    assert [one] == [
        {"task": "toy", "pruner": "mine", "seed": 0, "last_pass": 0.2, "first_fail": 0.99, "monotone": True}
    ]
    strict = reported(command(*words, "--strict", "--lf"))
    assert strict.code == 1
    assert [(cell["id"], cell["cached"]) for cell in strict.report["cells"]] == [("toy::mine[0.99,seed0]", True)]
    assert cells(command(*words, "--collect-only", "--lf")) == ["toy::mine[0.99,seed0]"]


def test_json_is_alone_on_standard_output_whatever_plugins_print(workshop: Workshop, command: Command) -> None:
    workshop.toy()
    path = workshop.pruner("mine")
    path.write_text(f"print('importing')\n{path.read_text()}".replace("    return", "    print('scoring')\n    return"))
    done = command("--collect", "plugins", "--levels", "0.2", "-n", "0", "--json", "-")
    assert set(json.loads(done.out)) == {"schema", "session", "tasks", "cells", "first_fail"}
    assert "importing" in done.err
    assert "scoring" in done.err
    assert "1 passed in" in done.err


def test_an_unknown_scope_is_a_clear_error_of_every_cell(command: Command, workshop: Workshop) -> None:
    workshop.toy()
    workshop.pruner("mine")
    done = reported(command("--collect", "plugins", "--levels", "0.2", "-n", "0", "--scope", "papre", "--json", "-"))
    assert done.code == 6
    (cell,) = done.report["cells"]
    assert "--scope 'papre': toy has 'paper'; did you mean 'paper'?" in cell["error"]


def test_a_dense_model_below_its_floor_skips_the_cells_and_exits_with_5(command: Command, workshop: Workshop) -> None:
    path = workshop.toy()
    path.write_text(path.read_text() + "\nfloor = 0.999\n")
    workshop.pruner("mine")
    words = ("--collect", "plugins", "--levels", "0.2", "-n", "0", "--json", "-")
    skipped = reported(command(*words))
    assert (skipped.code, skipped.report["cells"][0]["verdict"]) == (5, "skipped")
    assert "not above its floor 0.999; --no-dense-check runs the cells all the same" in skipped.err
    assert reported(command(*words, "--no-dense-check")).code == 0


def test_clearing_the_cache_loses_nothing_when_the_rest_cannot_be_done(command: Command, workshop: Workshop) -> None:
    workshop.toy()
    workshop.pruner("mine")
    run = ["--collect", "plugins", "--levels", "0.2", "-n", "0"]
    assert command(*run).code == 0
    for wrong in (["--levels", "2"], ["--tasks", "mawps-gts"], ["--pruners", "nobody"]):
        assert command(*run, "--cache-clear", *wrong).code == 4
    assert "(1 from the store)" in command(*run).out


def test_a_run_with_nothing_to_do_still_writes_its_json(command: Command, workshop: Workshop) -> None:
    workshop.toy()
    workshop.pruner("mine")
    ran = command("--collect", "plugins", "-k", "nothing-like-this", "--json", "out.json")
    assert ran.code == 5
    assert json.loads((workshop.folder / "out.json").read_text())["cells"] == []


def test_missing_data_is_the_only_line(command: Command, workshop: Workshop) -> None:
    ran = command("--tasks", "mawps-gts", "--pruners", "snip", "--data-dir", str(workshop.folder))
    assert (ran.code, ran.out, len(ran.err.splitlines())) == (4, "", 1)
    assert "arithmetic/cv_mawps/fold0/train.csv" in ran.err
