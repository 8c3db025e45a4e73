"""`--png DIR` and `--svg DIR`: a figure a task, its scores by level beside dense and the tolerance, for a paper."""

from __future__ import annotations

import argparse
import hashlib
import io
import re
import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from smc_harness.cells import CellResult, Verdict, visible
from smc_harness.errors import UsageError
from smc_harness.report.files import FileReport, put

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from smc_harness.report.saved import SavedRun

_MARKERS = {Verdict.FAIL: "x", Verdict.INCONCLUSIVE: "$?$"}
_LINES = ("-", "--", ":", "-.")
_COLOURS = 20


class Figures(FileReport):
    """Writes a file for each task into a folder, which it makes."""

    place = "DIR"

    def __init__(self, kind: str) -> None:
        super().__init__(kind, f"draw scores by level, a {kind.upper()} file a task", lambda run: b"")

    def check(self, options: argparse.Namespace) -> None:
        target = getattr(options, self.name)
        if target is None:
            return
        if not target or not (Path(target).is_dir() or (Path(target).parent.is_dir() and not Path(target).exists())):
            raise UsageError(f"--{self.name} {target}: a folder, or a new one in a folder that exists, would work")
        if find_spec("matplotlib") is None:
            raise UsageError(f"--{self.name}: matplotlib is missing; pip install 'smc-harness[figures]' brings it")

    def write(self, run: SavedRun, options: argparse.Namespace, stdout: TextIO) -> None:
        target = getattr(options, self.name)
        if target is None:
            return
        try:
            Path(target).mkdir(exist_ok=True)
        except OSError as error:
            raise UsageError(f"--{self.name} {target}: {error.strerror or error}") from error
        for task in run.tasks:
            if any(result.cell.task == task and result.value is not None for result in run.results):
                put(self.name, str(Path(target, f"{file_name(task)}.{self.name}")), drawn(run, task, self.name), stdout)


def file_name(task: str) -> str:
    """The task's name where a file may be called so, else what of it may stand, and a digest."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", task)
    if plain == task and task[0].isalnum():
        return task
    return f"{plain.strip('._-')[:50]}-{hashlib.sha256(task.encode(errors='backslashreplace')).hexdigest()[:8]}".lstrip(
        "-"
    )


def drawn(run: SavedRun, task: str, kind: str) -> bytes:
    """The figure of a task as a file. kind: png or svg."""
    from matplotlib import rc_context

    stream = io.BytesIO()
    # the same run gives the same file; and a name may hold dollars
    with rc_context({"svg.hashsalt": "smc-harness", "text.parse_math": False}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # it is drawn as a box
        metadata = {"Date": None} if kind == "svg" else {"Software": None}
        figure(run, task).savefig(stream, format=kind, dpi=200, metadata=metadata)
    return stream.getvalue()


def figure(run: SavedRun, task: str) -> Figure:
    """Scores by level, a line a pruner: the mean of its seeds, with a mark for each of them."""
    from matplotlib.figure import Figure

    from smc_harness.report.tables import by_phase

    found, about = Figure(figsize=(7.5, 4.2), layout="constrained"), run.tasks[task]
    axes = found.subplots()
    share = about.get("unit") == "fraction"
    scale = 100.0 if share else 1.0
    _dense(axes, run, task, scale)
    for index, pruner in enumerate(by_phase(run.results)):
        cells = [r for r in run.results if (r.cell.task, r.cell.pruner) == (task, pruner) and r.value is not None]
        if cells:
            _curve(axes, pruner, cells, index, scale)
    unit = "%" if share else about.get("unit") or ""
    metric = about.get("metric") or next(r.metric for r in run.results if r.cell.task == task)
    axes.set_xlabel("level: share of the prunable weights that are pruned")
    axes.set_ylabel(visible(f"{metric}, {unit}" if unit and unit != metric else metric))
    axes.set_title(visible(task))
    axes.grid(alpha=0.3)
    handles, labels = axes.get_legend_handles_labels()
    found.legend(handles, labels, loc="outside right upper", frameon=False, fontsize=9)
    return found


def _dense(axes: Axes, run: SavedRun, task: str, scale: float) -> None:
    """A line at the mean of the seeds, and a band down to the lowest score that passes."""
    from smc_harness.verdict.margin import margin_of

    scores = [d.measurement.value for (name, _), d in run.denses.items() if name == task and d.measurement is not None]
    if not scores:
        return
    dense = sum(scores) / len(scores)
    margin = margin_of(task, [], run.tolerance(task)).of(dense)
    limit = dense - margin if run.tasks[task].get("higher_is_better", True) else dense + margin
    axes.axhline(scale * dense, color="black", linewidth=1, label="dense")
    axes.axhspan(scale * limit, scale * dense, color="black", alpha=0.12, label="tolerance")


def _curve(axes: Axes, pruner: str, cells: Sequence[CellResult], index: int, scale: float) -> None:
    from matplotlib import colormaps

    by_level: dict[float, list[float]] = {}
    for cell in cells:
        by_level.setdefault(cell.cell.level, []).append(scale * (cell.value or 0.0))
    levels = sorted(by_level)
    colour, line = colormaps["tab20"](index % _COLOURS), _LINES[index // _COLOURS % len(_LINES)]
    # what begins with an underscore would be left out of the legend
    label = re.sub("^_", " _", visible(pruner))
    means = [sum(by_level[level]) / len(by_level[level]) for level in levels]
    axes.plot(levels, means, linestyle=line, color=colour, linewidth=1.3, label=label)
    for verdict in dict.fromkeys(cell.verdict for cell in cells):
        marked = [(cell.cell.level, scale * (cell.value or 0.0)) for cell in cells if cell.verdict is verdict]
        xs, ys = zip(*marked, strict=True)
        # what failed is crossed, what is not decided is asked
        axes.plot(xs, ys, linestyle="", marker=_MARKERS.get(verdict, "o"), color=colour, markersize=4.5)


PNG = Figures("png")
SVG = Figures("svg")
