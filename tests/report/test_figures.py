from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from importlib import util
from pathlib import Path
from xml.etree import ElementTree

import pytest

from smc_harness.cells import Cell, CellResult, Measurement, Verdict, visible
from smc_harness.errors import UsageError
from smc_harness.report.figures import PNG, SVG, drawn, figure, file_name
from smc_harness.report.saved import SavedRun, of
from tests.report.hostile import NAMES
from tests.report.saving import saved
from tests.workshop import ROOT, Ran

Command = Callable[..., Ran]


def result(
    level: float, value: float, verdict: Verdict, pruner: str = "p", task: str = "t", seed: int = 0
) -> CellResult:
    return CellResult(
        Cell(task, pruner, level, seed, "after"), verdict, "accuracy", 0.8, Measurement(value, 100, 1.0, realised=level)
    )


def run(*results: CellResult, **about: object) -> SavedRun:
    return of(saved(results, **about))


SOME = (result(0.2, 0.8, Verdict.PASS), result(0.5, 0.6, Verdict.FAIL), result(0.5, 0.7, Verdict.PASS, "q"))


def test_a_line_is_a_pruner_with_its_scores_by_level() -> None:
    (axes,) = figure(run(*SOME), "t").axes
    lines = {str(line.get_label()): line for line in axes.lines if not str(line.get_label()).startswith("_")}
    assert list(lines) == ["dense", "p", "q"]
    assert lines["p"].get_xydata().tolist() == [[0.2, 80.0], [0.5, 60.0]]  # type: ignore[union-attr]
    assert axes.get_ylabel() == "accuracy, %"


def test_of_several_seeds_the_line_is_the_mean_and_every_cell_is_marked() -> None:
    both = [result(0.2, value, Verdict.PASS, seed=seed) for seed, value in enumerate((0.7, 0.8))]
    (axes,) = figure(run(*both), "t").axes
    assert [line.get_xydata().tolist() for line in axes.lines if line.get_label() == "p"] == [[[0.2, 75.0]]]  # type: ignore[union-attr]
    assert [[0.2, 70.0], [0.2, 80.0]] in [line.get_xydata().tolist() for line in axes.lines]  # type: ignore[union-attr]


@pytest.mark.parametrize(("higher", "limit"), [(True, 72.0), (False, 88.0)])
def test_the_band_ends_at_the_last_score_that_passes(higher: bool, limit: float) -> None:
    (axes,) = figure(run(*SOME, higher_is_better=higher, tolerance="0.1"), "t").axes
    (band,) = axes.patches
    assert sorted((band.get_y(), band.get_y() + band.get_height())) == pytest.approx(sorted((80.0, limit)))  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", [*NAMES, "_hidden"])
def test_any_name_is_text(name: str, tmp_path: Path) -> None:
    found = run(result(0.2, 0.8, Verdict.INCONCLUSIVE, name, name))
    drawing = figure(found, name)
    assert drawing.axes[0].get_title() == visible(name)
    assert [text.get_text().strip() for text in drawing.legends[0].get_texts()] == [
        "dense",
        "tolerance",
        visible(name).strip(),
    ]
    ElementTree.fromstring(drawn(found, name, "svg"))
    assert drawn(found, name, "png").startswith(b"\x89PNG")
    PNG.write(found, Namespace(png=str(tmp_path / "made")), None)  # type: ignore[arg-type]
    assert [path.name for path in (tmp_path / "made").iterdir()] == [f"{file_name(name)}.png"]


def test_files_are_called_by_the_task_where_they_can_be() -> None:
    assert file_name("svamp-gts") == "svamp-gts"
    others = [file_name(name) for name in ("../a", "a/b", "a\\b", "..", ".hidden", "a\nb", "-x")]
    assert len(set(others)) == len(others)
    assert all(name[0].isalnum() and not set(name) & set("/\\\n ") for name in others)


def test_a_saved_run_is_drawn_alike_each_time(command: Command, tmp_path: Path) -> None:
    words = ("report", str(ROOT / "docs/results/mawps-gts.json"), "--svg")
    assert command(*words, "one").code == command(*words, "two").code == 0
    assert (tmp_path / "one/mawps-gts.svg").read_bytes() == (tmp_path / "two/mawps-gts.svg").read_bytes()


def test_a_task_without_scores_has_no_figure(tmp_path: Path) -> None:
    found = run(CellResult(Cell("t", "p", 0.5, 0), Verdict.ERROR, "accuracy", error="odd"))
    SVG.write(found, Namespace(svg=str(tmp_path / "new")), None)  # type: ignore[arg-type]
    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.parametrize("target", ["", "nowhere/new", "file"])
def test_a_place_that_is_no_folder_is_refused(target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    with pytest.raises(UsageError, match=f"--png {target}: a folder, or a new one in a folder that exists, would work"):
        PNG.check(Namespace(png=target))


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("smc_harness.report.figures.find_spec", lambda name: util.find_spec("nowhere_to_be_found"))
    with pytest.raises(
        UsageError, match=r"--svg: matplotlib is missing; pip install 'smc-harness\[figures\]' brings it"
    ):
        SVG.check(Namespace(svg=str(tmp_path)))
