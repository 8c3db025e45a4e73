from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from smc_harness.cells import Cell, CellResult, Judgement, Measurement, Pooled, Verdict
from smc_harness.errors import UsageError
from smc_harness.report.saved import SavedRun, of, read
from smc_harness.verdict.first_fail import first_fails
from tests.report.saving import Object, saved
from tests.workshop import ROOT, Ran, Workshop

MEASURED = Measurement(
    0.5, 100, 2.0, realised=0.25, densities={"w": 0.8}, diagnosis=["odd"], logged={"selected_on": "test"}, outcomes="k"
)
RESULTS = [
    CellResult(Cell("t", "p", 0.2, 0, "after", "paper", "d1"), Verdict.FAIL, "accuracy", 0.75, MEASURED, cached=True),
    CellResult(Cell("t", "p\n", 0.5, 1, "before", "paper"), Verdict.ERROR, "accuracy", 0.5, error="ValueError: odd"),
    CellResult(Cell("u", "p", 0.5, 0), Verdict.NOT_RUN, "BLEU"),
    CellResult(
        Cell("t", "p", 0.36, 0, "after", "paper", "d1"),
        Verdict.INCONCLUSIVE,
        "accuracy",
        0.75,
        MEASURED,
        judgement=Judgement(Verdict.INCONCLUSIVE, -0.01, 0.03, 4000),
    ),
]


def reread(found: Any, folder: Path) -> SavedRun:
    path = folder / "run.json"
    path.write_text(found if isinstance(found, str) else json.dumps(found))
    return read(path)


def test_results_come_back_as_they_were(tmp_path: Path) -> None:
    assert reread(saved(RESULTS), tmp_path).results == RESULTS


def test_dense_models_come_back_by_task_and_seed(tmp_path: Path) -> None:
    run = reread(saved(RESULTS, unit="BLEU"), tmp_path)
    found = {key: (dense.unit, dense.measurement and dense.measurement.value) for key, dense in run.denses.items()}
    assert found == {("t", 0): ("BLEU", 0.75), ("t", 1): ("BLEU", 0.5), ("u", 0): ("BLEU", None)}
    kept = run.denses["t", 0].measurement
    assert kept is not None
    assert (kept.n, kept.logged) == (100, {"selected_on": "test"})


def test_folds_that_were_judged_together_still_are(tmp_path: Path) -> None:
    results = [
        CellResult(
            Cell("t", "p", level, seed, pool=(0, 1)),
            verdict,
            "accuracy",
            0.75,
            Measurement(0.5, 100, 1.0, realised=level),
            pooled=Pooled(0.5, 0.75, 200, (0, 1)),
        )
        for level, verdict in ((0.2, Verdict.PASS), (0.5, Verdict.FAIL))
        for seed in (0, 1)
    ]
    run = reread(saved(results), tmp_path)
    assert run.results == results
    assert first_fails(run.results) == first_fails(results)


def test_what_an_older_file_lacks_of_a_cell_is_empty(tmp_path: Path) -> None:
    found = saved(RESULTS[:1])
    for name in ("densities", "logged", "outcomes", "realised_model"):
        del found["cells"][0][name]
    measured = reread(found, tmp_path).results[0].measurement
    assert measured is not None
    assert (measured.densities, measured.logged, measured.outcomes) == ({}, {}, None)


def test_options_and_interruption_are_those_of_the_run(tmp_path: Path) -> None:
    found = saved(RESULTS, {"tolerance": 0.05})
    found["session"]["interrupted"] = True
    run = reread(found, tmp_path)
    assert (run.option("tolerance"), run.option("nothing"), run.interrupted) == (0.05, None, True)


def test_a_file_of_an_earlier_study_is_read() -> None:
    run = read(ROOT / "docs/results/mawps-gts.json")
    assert len(run.results) == 110
    assert [found.first_fail for found in first_fails(run.results)][:2] == [0.2, 0.672]


def changed(change: Callable[[Object], Any]) -> Object:
    found = copy.deepcopy(saved(RESULTS))
    change(found)
    return found


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        ("", "Expecting value: line 1 column 1 (char 0)"),
        (json.dumps(saved(RESULTS))[:-40], "line 1 column"),
        ("[" * 100_000, "maximum recursion depth"),
        ('{"schema": NaN}', "it holds NaN, which is no JSON"),
        ([1, 2], "these are not the results of a run"),
        ({"name": "x"}, "these are not the results of a run"),
        ({"schema": 1, "cells": []}, "it lists cells, as --collect-only does, without results"),
        (changed(lambda f: f.update(schema=2)), "it has schema 2, and this smc-harness reads schema 1"),
        (changed(lambda f: f.update(schema=True)), "it has schema True"),
        (changed(lambda f: f.update(tasks=[])), "tasks is []"),
        (changed(lambda f: f["tasks"].pop("u")), "tasks.u is missing"),
        (changed(lambda f: f["tasks"]["t"]["dense_by_seed"].update(x=1)), "tasks.t.dense_by_seed has 'x'"),
        (changed(lambda f: f["tasks"]["t"]["dense_by_seed"].update({"0": "a"})), "tasks.t.dense_by_seed.0 is 'a'"),
        (changed(lambda f: f["session"].update(versions={"torch": 2.5})), "session.versions.torch is 2.5"),
        (changed(lambda f: f["tasks"]["t"].update(data={"x": "ab"})), "tasks.t.data has 'x', which is no seed"),
        (changed(lambda f: f["tasks"]["t"].update(data={"0": 3})), "tasks.t.data.0 is 3"),
        (changed(lambda f: f["tasks"]["t"].update(data=["ab"])), "tasks.t.data is ['ab']"),
        (changed(lambda f: f["tasks"]["t"].update(higher_is_better="yes")), "tasks.t.higher_is_better is 'yes'"),
        (changed(lambda f: f["session"].pop("options")), "session.options is missing"),
        (changed(lambda f: f["cells"].append(f["cells"][0])), "it has a cell twice"),
        (changed(lambda f: f["cells"].append(3)), "cells[4] is 3"),
        (changed(lambda f: f["cells"][0].pop("verdict")), "cells[0].verdict is missing"),
        (changed(lambda f: f["cells"][0].update(verdict="odd")), "cells[0].verdict is 'odd', which is none of pass,"),
        (changed(lambda f: f["cells"][0].update(id="t::p[0.3,seed0]")), "and the cell is 't::p[0.2,seed0]'"),
        (changed(lambda f: f["cells"][0].update(value="high")), "cells[0].value is 'high'"),
        (changed(lambda f: f["cells"][0].update(n=True)), "cells[0].n is True"),
        (changed(lambda f: f["cells"][0].update(diagnosis=[1])), "cells[0].diagnosis[0] is 1"),
        (changed(lambda f: f["cells"][0].update(pooled={})), "cells[0].pooled.value is missing"),
        (changed(lambda f: f["first_fail"][0].update(seeds=["a"])), "first_fail[0].seeds[0] is 'a'"),
    ],
)  # fmt: skip
def test_what_is_no_saved_run_is_one_line_that_says_where(found: Any, reason: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as raised:
        reread(found, tmp_path)
    text = str(raised.value)
    assert text.startswith(f"{tmp_path}/run.json: ")
    assert reason in text
    assert text.endswith("; a whole file that --json wrote would work")
    assert len(text) < 250 + len(str(tmp_path))


def test_a_number_beyond_all_bounds_is_refused(tmp_path: Path) -> None:
    text = json.dumps(saved(RESULTS)).replace('"dense": 0.75', '"dense": 1e999')
    with pytest.raises(UsageError, match="cells\\[0\\].dense is inf"):
        reread(text, tmp_path)


def test_a_place_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="run.json: No such file or directory; a file that --json wrote would work"):
        read(tmp_path / "run.json")
    with pytest.raises(UsageError, match="Is a directory"):
        read(tmp_path)
    (tmp_path / "run.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="codec can't decode"):
        read(tmp_path / "run.json")


def test_a_run_that_just_ended_reads_like_its_file(command: Callable[..., Ran], workshop: Workshop) -> None:
    workshop.toy()
    workshop.pruner("mine")
    assert command("--collect", "plugins", "--levels", "0.2,0.95", "-n", "0", "--json", "out.json").code == 0
    text = Path("out.json").read_text()
    assert of(json.loads(text)) == read(Path("out.json"))
    low = read(Path("out.json")).results[0].measurement
    assert low is not None and low.steps == 20 and low.peak_memory is not None and low.peak_memory > 1 << 20
