"""What people and programs see of a run: session plugins, their tables, and saved runs read back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas

    from smc_harness.report.saved import SavedRun


def to_pandas(run: SavedRun | Path | str | int, store: Path | str = ".smc-harness") -> pandas.DataFrame:
    """A run as a table: a row a cell, with the columns of `--csv`.

    run: a file that `--json` wrote, the number of a session of the store, or a run that was read. Scores are in the
    task's `unit`, `level` and `realised` are shares of the scope, `seconds` is computing time, `peak_memory` is bytes.
    Raises UsageError for what cannot be read.
    """
    from smc_harness.report.saved import SavedRun, find
    from smc_harness.report.tidy import frame

    return frame(run if isinstance(run, SavedRun) else find(str(run), Path(store)))
