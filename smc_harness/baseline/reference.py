"""What `run --baseline FILE` does with its file: read before the run, compared with after it, and written anew."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from smc_harness.baseline import file
from smc_harness.baseline.changes import Comparison
from smc_harness.baseline.compare import compare
from smc_harness.baseline.entries import Entries, Point
from smc_harness.baseline.evidence import Outcomes
from smc_harness.documents.writing import is_place_for_a_file, write_whole
from smc_harness.errors import UsageError


@dataclass(frozen=True)
class Reference:
    """entries: what the file holds, None where it is not there yet."""

    path: Path
    entries: Entries | None

    @classmethod
    def of(cls, baseline: str | None, update: bool) -> Reference | None:
        """Of --baseline and --update-baseline. Raises UsageError for what could not be done after the run."""
        if baseline is None:
            if update:
                raise UsageError("--update-baseline goes with --baseline FILE")
            return None
        path = Path(baseline)
        if update and not is_place_for_a_file(path):
            raise UsageError(f"--baseline {path}: a file in a folder that exists would work")
        try:
            return cls(path, file.read(path))
        except FileNotFoundError:
            return cls(path, None)
        except UsageError as error:
            raise UsageError(f"--baseline {error}") from error

    def compare(self, measured: Entries, outcomes: Outcomes) -> Comparison:
        """With what a run measured."""
        if self.entries is None:
            return Comparison(str(self.path), there=False)
        return compare(str(self.path), self.entries, measured, outcomes)

    def update(self, measured: Entries, outcomes: Outcomes) -> bool:
        """Put what a run measured in place of the entries of the same task and pruner; all others stay, those that
        another run wrote meanwhile, too.

        Standard errors are added, for runs that will not have these outcomes. Returns whether the file changed.
        Raises UsageError.
        """
        held = self.of(str(self.path), update=True)
        kept = (held.entries if held is not None else None) or {}
        known = {p.outcomes: p.precision for entry in kept.values() for p in entry.points if p.outcomes}

        def precise(point: Point, task: str) -> Point:
            precision = known.get(point.outcomes or "") or outcomes.precision(task, point)
            return replace(point, precision=precision)

        new = {pair: replace(e, points=[precise(p, e.task) for p in e.points]) for pair, e in measured.items()}
        text = file.text_of({**kept, **new})
        try:
            if self.path.exists() and self.path.read_text(encoding="utf-8") == text:
                return False
            write_whole(self.path, text)
        except OSError as error:
            raise UsageError(f"--baseline {self.path}: {error.strerror or error}") from error
        return True
