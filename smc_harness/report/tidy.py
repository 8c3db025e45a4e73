"""`--csv FILE` and `--parquet FILE`: a row a cell, for whoever draws or computes something else."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from smc_harness.cells import CellResult
from smc_harness.report.files import FileReport

if TYPE_CHECKING:
    import pandas

    from smc_harness.report.saved import SavedRun

_KINDS = {
    **dict.fromkeys(("id", "task", "pruner", "phase", "scope", "params_digest"), "string"),
    "level": "float64",
    "seed": "int64",
    **dict.fromkeys(("verdict", "metric", "unit"), "string"),
    **dict.fromkeys(("value", "dense", "drop_low", "drop_high", "p_within", "p_beyond"), "float64"),
    **dict.fromkeys(("needed", "needed_seeds"), "Int64"),
    **dict.fromkeys(("pooled_value", "pooled_dense", "realised", "realised_model"), "float64"),
    "n": "Int64",
    "seconds": "float64",
    **dict.fromkeys(("steps", "peak_memory"), "Int64"),
    "cached": "bool",
    **dict.fromkeys(("error", "diagnosis"), "string"),
}
"""The columns, in their order; those with a capital may miss whole numbers."""


def frame(run: SavedRun) -> pandas.DataFrame:
    """A row a cell, in the run's order; what is not known of a cell is missing."""
    from pandas import DataFrame

    rows = [_row(result) | {"unit": run.tasks[result.cell.task].get("unit") or ""} for result in run.results]
    return DataFrame(rows, columns=list(_KINDS)).astype(_KINDS)


def _row(result: CellResult) -> dict[str, Any]:
    """The object of the cell in `--json`, without members that are more than one value."""
    whole = result.to_json()
    drop, p, pooled = (whole.get(name) or {} for name in ("drop", "p", "pooled"))
    return whole | {
        "drop_low": drop.get("low"),
        "drop_high": drop.get("high"),
        "p_within": p.get("within"),
        "p_beyond": p.get("beyond"),
        "pooled_value": pooled.get("value"),
        "pooled_dense": pooled.get("dense"),
        "diagnosis": "; ".join(result.diagnosis) or None,
    }


def _csv(run: SavedRun) -> str:
    return str(frame(run).to_csv(index=False, lineterminator="\n"))


def _parquet(run: SavedRun) -> bytes:
    stream = io.BytesIO()
    frame(run).to_parquet(stream, index=False)
    return stream.getvalue()


CSV = FileReport("csv", "write a row a cell as CSV; -: to standard output", _csv)
PARQUET = FileReport("parquet", "write a row a cell as Parquet", _parquet)
