"""The main job on the real mini tasks, and on real data where it is at hand. Minutes, hence slow."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.workshop import ROOT, Ran, Workshop

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

PLUGINS = str(ROOT / "plugins")
DATA = os.environ.get("SMC_DATA_DIR")


def values(ran: Ran) -> dict[str, tuple]:
    keep = ("verdict", "value", "realised", "dense", "n")
    return {cell["id"]: tuple(cell[name] for name in keep) for cell in ran.report["cells"]}


def test_every_default_pruner_runs_on_every_mini_task(workshop: Workshop) -> None:
    ran = workshop.run("--collect", PLUGINS, "--levels", "0.2,0.738", timeout=1200)
    assert ran.code == 0, ran.out + ran.err
    cells = ran.report["cells"]
    assert len(cells) == 4 * 7 * 2
    assert {cell["verdict"] for cell in cells} == {"pass", "fail", "not-run"}
    for task in ran.report["tasks"].values():
        assert task["n"] >= 2000
        assert task["dense"] > task["floor"] + 0.2 * (1 if task["unit"] == "fraction" else 100)
    for cell in cells:
        if cell["value"] is not None:
            assert cell["realised"] == pytest.approx(cell["level"], abs=0.0021)
    first = {(row["task"], row["pruner"]): row["first_fail"] for row in ran.report["first_fail"]}
    for task in ran.report["tasks"]:
        assert first[task, "lth"] is None
        assert first[task, "random-after"] is not None


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
        *["--set", "mawps-gts.recipe=laptop", "--set", "mawps-gts.epochs=5"],
        timeout=600,
    )
    assert ran.code == 0, ran.out + ran.err
    assert ran.report["tasks"]["mawps-gts"]["dense"] > 0.5
    assert ran.report["tasks"]["mawps-gts"]["params"]["selection"] == "valid"
