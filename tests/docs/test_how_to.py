"""What the how-to pages build and claim is built and held to, offline."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas
import pytest

from smc_harness import Pretrained
from tests.checkpoints import roberta
from tests.workshop import ROOT, Ran, Workshop

HOW_TO = ROOT / "docs/how-to"
THINGS = ("apple", "book", "cat", "door", "moon", "nest", "owl", "pan", "queen", "river", "sun", "tree")
ROWS, TRAINED_ON = (
    [
        {"question": f"is {thing} {colour}", "answer": thing < "m", "passage": f"A {thing} stands by the door. " * 3}
        for thing in THINGS
    ]
    for colour in ("green", "blue")
)
"""The columns of google/boolq."""


def python(page: str) -> str:
    (source,) = re.findall(r"^```python\n(.*?)^```", (HOW_TO / page).read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return str(source)


@pytest.fixture
def boolq(workshop: Workshop) -> Workshop:
    """The task of the page, a data folder in the format of the hub's, and a small checkpoint."""
    workshop.write("boolq.py", python("hub_dataset.md"))
    (workshop.folder / "DATA/boolq").mkdir(parents=True)
    for name, rows in (("train", TRAINED_ON), ("validation", ROWS)):
        pandas.DataFrame(rows).to_parquet(workshop.folder / f"DATA/boolq/{name}.parquet")
    roberta(workshop.folder / "MODELS/small", [f"{row['question']} {row['passage']}" for row in ROWS + TRAINED_ON])
    return workshop


LOCAL = ["--tasks", "boolq", "--collect", "boolq.py", "--data-dir", "DATA", "--model-dir", "MODELS"]
SMALL = ["--set", "boolq.model=small", "--set", "boolq.revision=none", "--set", "boolq.steps=4", "--no-dense-check"]


def test_a_task_from_the_hub_runs_from_local_files(boolq: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(boolq.folder / "cache"))
    ran = boolq.run(*LOCAL, *SMALL, "--pruners", "magnitude-after", "--levels", "0.5", "--search", "grid", timeout=280)
    assert ran.code == 0, ran.out + ran.err
    (cell,) = ran.cells().values()
    assert (cell["n"], cell["metric"]) == (len(ROWS), "accuracy")
    assert cell["realised"] == pytest.approx(0.5, abs=1e-3)


@pytest.mark.slow
def test_that_task_keeps_the_contract(boolq: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(boolq.folder / "cache"))
    local = [*LOCAL[LOCAL.index("--data-dir") :], *SMALL[: SMALL.index("--no-dense-check")]]
    ran = boolq.run("check", "boolq.py", *local, timeout=280)
    assert ran.code == 0, ran.out + ran.err
    assert ran.report["reports"][0]["counts"]["passed"] > 10


def test_a_missing_file_of_that_task_is_named(boolq: Workshop, command: Callable[..., Ran]) -> None:
    (boolq.folder / "DATA/boolq/train.parquet").unlink()
    ran = command(*LOCAL, *SMALL, "--pruners", "snip", "--levels", "0.5")
    assert ran.code == 4
    assert "boolq/train.parquet" in ran.err


def test_on_the_hub_that_task_asks_for_one_commit(boolq: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    asked = []

    def load_dataset(name: str, **how: Any) -> datasets.Dataset:
        asked.append((name, how))
        return datasets.Dataset.from_list(ROWS)

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    monkeypatch.syspath_prepend(boolq.folder)
    task: Any = import_module("boolq")
    context = SimpleNamespace(
        data_dir=None, params=task.Params(longest=16), pretrained=Pretrained(str(boolq.folder / "MODELS/small"))
    )
    found = task.prepare_data(context)
    assert asked == [
        ("google/boolq", {"revision": task.COMMIT, "split": "train"}),
        ("google/boolq", {"revision": task.COMMIT, "split": "validation"}),
    ]
    assert re.fullmatch("[0-9a-f]{40}", task.COMMIT)
    ids, label = found["test"][0]
    assert len(ids) == 16
    assert label == 1


@pytest.mark.slow
def test_the_pruner_of_the_readme_passes_every_check_as_a_test(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    (pruner,) = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)
    first, _ = re.findall(r"^```python\n(.*?)^```", (HOW_TO / "check.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)
    pytester.makepyfile(sqrt_magnitude=pruner, test_conformance=first)
    monkeypatch.setenv("PYTHONPATH", str(pytester.path))
    found = pytester.runpytest_subprocess("-q").parseoutcomes()
    assert found["passed"] > 20
    assert not found.keys() & {"failed", "errors"}


def test_a_copied_store_spares_the_dense_training(workshop: Workshop) -> None:
    workshop.toy()
    for name in ("first", "second"):
        workshop.pruner(name)
    words = ["--collect", "plugins", "--levels", "0.2", "-n", "1", "-v"]
    assert workshop.run(*words, "--pruners", "first", "--store", "a").code == 0
    shutil.copytree(workshop.folder / "a", workshop.folder / "b")
    copied = workshop.run(*words, "--pruners", "second", "--store", "b").cells()
    alone = workshop.run(*words, "--pruners", "second", "--store", "c").cells()
    assert [cell["value"] for cell in copied.values()] == [cell["value"] for cell in alone.values()]
    trained, after, anew = (states(workshop.folder / store) for store in ("a", "b", "c"))
    assert trained.keys() & anew.keys()
    assert trained.items() <= after.items()


def states(store: Path) -> dict[str, int]:
    """Of every state in a store, when it was written."""
    return {path.name: path.stat().st_mtime_ns for path in (store / "artifacts").rglob("*.safetensors")}


def test_json_files_of_several_jobs_are_put_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("mawps-gts", "asdiv-a-gts"):
        shutil.copy(ROOT / f"docs/results/{name}.json", tmp_path)
    monkeypatch.chdir(tmp_path)
    exec(python("cluster.md"), {})
    printed = capsys.readouterr().out
    assert re.search(r"^asdiv-a-gts +gmp", printed, re.MULTILINE)
    assert re.search(r"^mawps-gts +gmp", printed, re.MULTILINE)


def test_a_build_asks_for_the_levels_that_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(ROOT / "docs/results/mawps-gts.json", tmp_path / "results.json")
    monkeypatch.chdir(tmp_path)
    exec(python("continuous_integration.md"), {})
    assert re.search(r"^mawps-gts +gmp +0\.20*$", capsys.readouterr().out, re.MULTILINE)


REDRAWN = """
import torch
from smc_harness import hookimpl

name, phase, nested = "redrawn", "before", True


@hookimpl
def apply_mask(model, level, context):
    scores = {n: torch.rand(p.shape, generator=context.generator) for n, p in context.prunable(model)}
    return context.select(scores, level)
"""
"""Which claims to be nested, and draws its scores anew for every level."""


def test_the_expected_failure_of_the_page_on_checking_is_one(pytester: pytest.Pytester) -> None:
    _, second = re.findall(r"^```python\n(.*?)^```", (HOW_TO / "check.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)
    pytester.makepyfile(redrawn=REDRAWN, test_expected=second)
    pytester.makeini("[pytest]\npythonpath = .\nfilterwarnings = error\n")
    pytester.runpytest_subprocess().assert_outcomes(passed=1)
