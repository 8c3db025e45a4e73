"""The page on the arithmetic study, from the JSON of its panels: `python -m docs.generate`."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence

from docs.generate import DOCS
from smc_harness.cells import Verdict, show_level
from smc_harness.discovery.catalogue import discover
from smc_harness.discovery.loading import load
from smc_harness.report.published import Curves, published
from smc_harness.report.saved import SavedRun, read
from smc_harness.report.tables import interval, short
from smc_harness.verdict.first_fail import first_fails
from smc_harness.verdict.rule import Tolerance

FOLDER = DOCS / "results"
PAGE = FOLDER / "arithmetic.md"
TASKS = ("mawps-gts", "mawps-graph2tree", "asdiv-a-gts", "asdiv-a-graph2tree", "svamp-gts", "svamp-graph2tree")

_HEAD = """\
# Arithmetic reasoning, from scratch

Generated from the JSON files beside this page by `python -m docs.generate`.

Eleven pruners of SMC-Bench on word problems: MAWPS (fold 0), ASDiv-A (fold 0) and SVAMP, solved by GTS and by
Graph2Tree. One seed, scope `paper` (every matrix, embeddings and output layers included), the recipe `laptop` (hidden
and embedding size 128, 20 epochs, Adam with a linear decay), beam 5, the best epoch chosen on the scored problems as
SMC-Bench did, tolerance 1 %. A panel is one command, for each task alike; a killed one goes on where it was:

```sh
smc-harness --tasks mawps-gts --data-dir data --set mawps-gts.recipe=laptop --set mawps-gts.selection=paper \\
    --json mawps-gts.json
```

`data` holds the folder `arithmetic` with the files of the SVAMP repository. With `--search grid` every level is
measured, as here for {grids}.

**Ours beside the paper's.** The paper's curves are those of its Figure 2 and of its appendix B (pruning by magnitude
before training), single runs whose dense models are some 140 million weights: their words are embedded by RoBERTa-base,
which is pruned with the rest. Ours are 1.4 to 1.6 million weights, embedded from scratch. So the two first-fails of a
line answer the same question of two different models, and only the order of the pruners can be compared. The paper's
are judged here by the same rule, a drop of more than 1 % of dense, up to 0.893. It has no curve of oBERT. On
Graph2Tree and ASDiv-A, 5.0 points were subtracted from the paper's SNIP and SNIP + RigL before they were drawn; the
values here are the drawn ones.

One evaluation has a standard error of about 1.9 points on MAWPS, 2.9 on ASDiv-A and 1.4 on SVAMP; a tolerance of 1 % of
dense is less than that. Where a first-fail is at the lowest levels, one step up or down is within that error.
"""


_DENSE = """\
## Dense models, by recipe and selection

What the models reach before anything is pruned, of one seed. `paper` takes the best epoch on the scored problems, as
SMC-Bench did; `valid` takes it on a tenth of the training problems, which are then not trained on: the sound figure.
The recipes are described in [the list of tasks](../reference/tasks.md). Such a run ends soon after its dense training:

```sh
smc-harness --tasks asdiv-a-gts --data-dir data --set asdiv-a-gts.recipe=workstation \\
    --set asdiv-a-gts.selection=paper --pruners magnitude-one-shot --levels 0.2
```
"""


def page() -> str:
    """The page, with a section for every panel whose JSON is there."""
    panels = runs()
    grids = [task for task, panel in panels.items() if panel.option("search") == "grid"]
    head = _HEAD.replace("{grids}", " and ".join(f"`{task}`" for task in grids) or "none yet")
    missing = [task for task in TASKS if task not in panels]
    note = [f"Not run yet: {', '.join(f'`{task}`' for task in missing)}.", ""] if missing else []
    sections = [line for task, panel in panels.items() for line in _section(task, panel, paper(task))]
    return "\n".join([head, *note, *_dense(), *sections]).rstrip() + "\n"


def _dense() -> list[str]:
    """What dense models reach, by task and recipe; as each of the runs wrote it with `--json`."""
    found: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
    for row in json.loads((FOLDER / "dense.json").read_text(encoding="utf-8")):
        recipe = row["recipe"] if row["epochs"] is None else f"{row['recipe']}, {row['epochs']} epochs"
        found[row["task"], recipe][row["selection"]] = row["dense"]
    head = ["task", "recipe", "`paper`", "`valid`"]
    rows = [
        [f"`{task}`", recipe, _percent(by.get("paper")), _percent(by.get("valid"))]
        for (task, recipe), by in found.items()
    ]
    return [_DENSE, _line(head), _line(["---"] * len(head)), *map(_line, rows), ""]


def runs() -> dict[str, SavedRun]:
    """The panels whose JSON is there."""
    return {task: read(file) for task in TASKS if (file := FOLDER / f"{task}.json").is_file()}


def paper(task: str) -> Curves:
    """The paper's curves."""
    found = published(load(discover().installed["task"][task]))
    assert found is not None
    return found


def curves(panel: SavedRun) -> dict[str, dict[float, float]]:
    """Our accuracies of one panel, by pruner and level."""
    found: dict[str, dict[float, float]] = defaultdict(dict)
    for result in panel.results:
        if result.value is not None:
            found[result.cell.pruner][result.cell.level] = result.value
    return dict(found)


def _section(task: str, panel: SavedRun, theirs: Curves) -> list[str]:
    ours, judged, about = curves(panel), theirs.judged(Tolerance()), panel.tasks[task]
    levels = sorted({result.cell.level for result in panel.results})
    rows = []
    for found in first_fails(panel.results):
        values = [_percent(ours.get(found.pruner, {}).get(level)) for level in levels]
        other = interval(judged[found.pruner]) if found.pruner in judged else "-"
        rows.append([f"`{found.pruner}`", interval(found), other, *values])
    head = ["pruner", "first fail, ours", "the paper's", *map(show_level, levels)]
    return [
        f"## {task}",
        "",
        f"Dense {_percent(about['dense'])} % of {about['n']} problems; the paper's, with RoBERTa, "
        f"{_percent(theirs.dense.value)} %. Accuracy in %, by level; blank: not needed. [JSON]({task}.json)",
        "",
        _line(head),
        _line(["---"] * len(head)),
        *map(_line, rows),
        "",
        f"![Accuracy by level, ours and the paper's]({task}.svg)",
        "",
        *_reasons(panel),
    ]


def _reasons(panel: SavedRun) -> list[str]:
    """What mask and predictions tell of each pruner's first failed cell."""
    first: dict[str, str] = {}
    for result in sorted(panel.results, key=lambda result: result.cell.level):
        if result.verdict is Verdict.FAIL and result.diagnosis:
            first.setdefault(result.cell.pruner, f"- `{result.cell.id}`: {short(result.diagnosis)}")
    lines = [line for _, line in sorted(first.items())]
    return ["What mask and predictions tell of first failures:", "", *lines, ""] if lines else []


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f}"


def _line(words: Sequence[str]) -> str:
    return "| " + " | ".join(words) + " |"


def draw() -> None:
    """One figure a panel: ours and the paper's, side by side, on the same axis of levels."""
    import matplotlib.pyplot as plt

    plt.rcParams["svg.hashsalt"] = "smc-harness"
    for task, panel in runs().items():
        ours, theirs = curves(panel), paper(task)
        papers = {name: {level: p.value for level, p in points.items()} for name, points in theirs.points.items()}
        names = sorted({*ours, *papers})
        colours = dict(zip(names, plt.get_cmap("tab20").colors, strict=False))  # type: ignore[attr-defined]
        figure, axes = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
        sides = (
            ("from scratch, ours", ours, panel.tasks[task]["dense"]),
            ("RoBERTa, the paper's", papers, theirs.dense.value),
        )
        for axis, (title, found, score) in zip(axes, sides, strict=True):
            dense = 100 * score
            axis.axhline(dense, color="black", linewidth=1)
            axis.axhspan(0.99 * dense, dense, color="black", alpha=0.12)
            for name in names:
                points = sorted(found.get(name, {}).items())
                axis.plot([x for x, _ in points], [100 * y for _, y in points], "o-", color=colours[name],
                          markersize=3.5, linewidth=1.3, label=name)  # fmt: skip
            axis.set(title=title, xlabel="level", ylabel="accuracy, %", xlim=(0.15, 0.92))
            axis.grid(alpha=0.3)
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside right", frameon=False, fontsize=9)
        figure.suptitle(f"{task}: black line dense, grey band the tolerance of 1 %")
        figure.savefig(FOLDER / f"{task}.svg", metadata={"Date": None})
        plt.close(figure)
