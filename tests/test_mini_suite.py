"""The main job on the real mini tasks, and on real data where it is at hand. Minutes, hence slow."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.workshop import ROOT, Ran, Workshop, our_pruners

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

PLUGINS = str(ROOT / "plugins")
DATA = os.environ.get("SMC_DATA_DIR")


def values(ran: Ran) -> dict[str, tuple]:
    keep = ("verdict", "value", "realised", "dense", "n")
    return {cell["id"]: tuple(cell[name] for name in keep) for cell in ran.report["cells"]}


PAPERS_ELEVEN = {
    *("magnitude-after", "random-after", "lth", "obert", "gmp", "magnitude-before", "random-before"),
    *("snip", "snip-rigl", "magnitude-rigl", "random-rigl"),
}


def test_the_default_run_is_the_papers_eleven_on_the_four_mini_tasks(workshop: Workshop) -> None:
    ran = workshop.run("--collect", PLUGINS, "--collect-only", timeout=60)
    assert {cell["pruner"] for cell in ran.report["cells"]} == PAPERS_ELEVEN
    assert {cell["task"] for cell in ran.report["cells"]} == {
        *("arithmetic-mini", "commonsense-mini", "protein-mini", "translation-mini")
    }


def test_every_pruner_runs_on_every_mini_task(workshop: Workshop) -> None:
    ran = workshop.run("--collect", PLUGINS, "--pruners", our_pruners(), "--levels", "0.738", timeout=1400)
    assert ran.code == 0, ran.out + ran.err
    cells = ran.report["cells"]
    assert len(cells) == 4 * 17
    assert {cell["verdict"] for cell in cells} == {"pass", "fail"}
    for task in ran.report["tasks"].values():
        assert task["n"] >= 2000
        assert task["dense"] > task["floor"] + 0.2 * (1 if task["unit"] == "fraction" else 100)
    for cell in cells:
        assert cell["realised"] == pytest.approx(cell["level"], abs=0.0021)
    first = {(row["task"], row["pruner"]): row["first_fail"] for row in ran.report["first_fail"]}
    for task in ran.report["tasks"]:
        assert first[task, "lth"] is None
        assert first[task, "random-after"] is not None


def test_pruners_of_linear_layers_run_on_every_transformer(workshop: Workshop) -> None:
    tasks = "commonsense-mini,language-modeling-mini,protein-mini,translation-mini"
    what = ("--tasks", tasks, "--pruners", "wanda,sparsegpt", "--scope", "backbone", "--levels", "0.5")
    ran = workshop.run(*what, timeout=600)
    assert ran.code == 0, ran.out + ran.err
    assert [cell["realised"] for cell in ran.report["cells"]] == pytest.approx([0.5] * 8, abs=1e-4)
    lost = {
        name: sum(abs(1 - cell["value"] / cell["dense"]) for cell in ran.report["cells"] if cell["pruner"] == name)
        for name in ("wanda", "sparsegpt")
    }
    assert lost["sparsegpt"] < lost["wanda"]  # what makes up for the pruned weights


VARIANTS = {
    "half": "magnitude-after,pattern=2:4",
    "eighths": "magnitude-after,pattern=4:8",
    "tiles": "magnitude-after,pattern=4x4",
    "even": "magnitude-after,allocation=uniform",
    "erk": "snip,allocation=erk",
}


def test_every_structure_is_had_as_a_variant_and_holds(workshop: Workshop) -> None:
    words = [word for name, spec in VARIANTS.items() for word in ("--variant", f"{name}={spec}")]
    ran = workshop.run(
        *["--tasks", "protein-mini", "--pruners", ",".join(VARIANTS), "--levels", "0.5", "--search", "grid"],
        *words,
        timeout=600,
    )
    assert ran.code == 0, ran.out + ran.err
    cells = {cell["pruner"]: cell for cell in ran.report["cells"]}
    assert cells.keys() == VARIANTS.keys()
    for cell in cells.values():
        assert cell["level"] == 0.5 and cell["realised"] == pytest.approx(0.5, abs=0.001)
    for name in ("half", "eighths", "even"):
        assert list(cells[name]["densities"].values()) == pytest.approx([0.5] * len(cells[name]["densities"]), abs=0.01)
    assert len(set(cells["erk"]["densities"].values())) > 3


def test_a_killed_mini_suite_and_a_subset_of_it_equal_an_undisturbed_run(workshop: Workshop) -> None:
    chosen = ["--tasks", "protein-mini,translation-mini", "--pruners", "magnitude-after,snip,gmp,lth"]
    run = ["--collect", PLUGINS, *chosen, "--levels", "0.2,0.36", "--search", "grid"]
    undisturbed = workshop.run(*run, "-n", "2", "--store", "a", timeout=600)
    killed = workshop.stop(signal.SIGKILL, 5, *run, "-n", "2", "--store", "b", timeout=600)
    resumed = workshop.run(*run, "-n", "2", "--store", "b", timeout=600)
    assert len(killed.finished) >= 5
    assert all(resumed.cells()[cell]["cached"] for cell in killed.finished)
    assert values(resumed) == values(undisturbed)
    subset = workshop.run(*run, "-n", "1", "--store", "c", "-k", "protein and snip", timeout=600)
    assert len(values(subset)) == 2
    assert values(subset).items() <= values(undisturbed).items()


def test_items_of_pytest_in_two_processes_have_the_verdicts_of_the_command_line(
    workshop: Workshop, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = "--tasks protein-mini,translation-mini --pruners magnitude-after,snip --levels 0.2,0.488,0.672"
    told = workshop.run("--collect", PLUGINS, *chosen.split(), "-n", "2", "--store", "a", timeout=600)
    monkeypatch.setenv("SMC_HARNESS_ADDOPTS", f"{chosen} -n 1 --store {workshop.folder / 'b'}")
    ran = pytester.runpytest_subprocess("--smc", PLUGINS, "-n", "2", "--junitxml", "junit.xml", timeout=600)
    assert ran.ret == 0
    found = {}
    for case in ElementTree.parse(pytester.path / "junit.xml").iter("testcase"):
        said = {item.attrib["name"]: item.attrib["value"] for item in case.iter("property")}
        value = float(said["value"]) if "value" in said else None
        found[f"{case.attrib['classname']}::{case.attrib['name']}"] = (said["verdict"], value)
    assert found == {name: (cell["verdict"], cell["value"]) for name, cell in told.cells().items()}
    assert {"pass", "fail", "not-run"} == {verdict for verdict, _ in found.values()}


@pytest.mark.skipif(DATA is None, reason="SMC_DATA_DIR is not set")
def test_gts_learns_real_word_problems(workshop: Workshop) -> None:
    assert DATA is not None
    ran = workshop.run(
        *[
            "--tasks",
            "mawps-gts",
            "--pruners",
            "magnitude-after",
            "--levels",
            "0.2",
            "--data-dir",
            str(Path(DATA).resolve()),
        ],
        *["--set", "mawps-gts.recipe=laptop", "--set", "mawps-gts.epochs=10"],
        timeout=600,
    )
    assert ran.code == 0, ran.out + ran.err
    assert ran.report["tasks"]["mawps-gts"]["dense"] > 0.5
    assert ran.report["tasks"]["mawps-gts"]["params"]["selection"] == "valid"
