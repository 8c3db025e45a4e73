"""The unit of reporting: one (task, pruner, level, seed), what was measured there, and its verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """The outcome of a cell."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    ERROR = "error"
    SKIPPED = "skipped"
    NOT_RUN = "not-run"

    @property
    def decided(self) -> bool:
        return self in (Verdict.PASS, Verdict.FAIL)


CONTROLS = ("random", "own-ratios")
"""Kinds of controls; the control of NAME is called NAME~random or NAME~own-ratios."""


_LONG = 10_000
_MISSED = 0.01
"""A difference between asked and realised sparsity that rounding does not explain, from a hundred weights on."""


def show_level(level: float) -> str:
    """The shortest text that reads back as the same number."""
    short = format(level, "g")
    return short if float(short) == level else repr(level)


def counted(number: int, what: str) -> str:
    """`1 cell`, `2 cells`, `12 000 cells`."""
    shown = f"{number:,}".replace(",", " ") if number >= _LONG else str(number)
    return f"{shown} {what}" + "s" * (number != 1)


def visible(text: str) -> str:
    """The text on one line, whatever a plugin is called: what does not print is escaped, as in Python."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


@dataclass(frozen=True, slots=True)
class Cell:
    """One item of the cross product.

    params_digest: short digest of the pruner's parameters. phase: of the pruner. scope: the preset asked for. pool: the
    seeds whose outcomes are judged together, by a verdict over seeds or where a task's seeds are folds of one data set;
    else this seed alone. added: its level is one that the search came to want, and that nobody asked for.
    """

    task: str
    pruner: str
    level: float
    seed: int
    phase: str = ""
    scope: str = ""
    params_digest: str = ""
    pool: tuple[int, ...] = ()
    added: bool = False

    @property
    def trajectory(self) -> tuple[str, str, tuple[int, ...]]:
        """What has a first-fail of its own: (task, pruner, seeds judged together)."""
        return self.task, self.pruner, self.pool or (self.seed,)

    @property
    def id(self) -> str:
        """`commonsense-mini::snip[0.488,seed0]`."""
        return visible(f"{self.task}::{self.pruner}[{show_level(self.level)},seed{self.seed}]")


AGREEMENT = ("evaluated_in", "agreement", "score_difference")
"""What a dense measurement logs under --evaluate-in: that precision, the share of the outcomes that are as in the run's
own, and by how much the score is above the score there."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one evaluation of one model gave; the part of a result that is kept in the store.

    value: the metric in the task's unit. n: examples scored. realised: masked-off / prunable over the scope.
    realised_model: masked-off / all parameters of the model. densities: {tensor: share of its weights that live}.
    seconds: computing time of the stages that this cell did not share, its evaluation included. steps: the optimiser
    steps among them. peak_memory: bytes at most, of the process or of its GPU. outcomes: key of the per-example
    outcomes in the artifact store.
    """

    value: float
    n: int
    seconds: float
    steps: int = 0
    realised: float = 0.0
    realised_model: float = 0.0
    densities: dict[str, float] = field(default_factory=dict)
    diagnosis: list[str] = field(default_factory=list)
    logged: dict[str, Any] = field(default_factory=dict)
    outcomes: str | None = None
    peak_memory: int | None = None

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}

    @property
    def agreement(self) -> dict[str, Any]:
        """What it logged of AGREEMENT: all or nothing."""
        found = {name: self.logged[name] for name in AGREEMENT if name in self.logged}
        return found if len(found) == len(AGREEMENT) else {}


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict and what supports it.

    low, high: the drop from dense, in the task's unit, is in between; each end is wrong in one case of twenty. needed,
    needed_seeds: for `inconclusive`, the examples, or the seeds, with which a verdict would probably come. within,
    beyond: p-values; a small one says that the drop is surely within the tolerance, or surely beyond it.
    """

    verdict: Verdict
    low: float | None = None
    high: float | None = None
    needed: int | None = None
    needed_seeds: int | None = None
    within: float | None = None
    beyond: float | None = None


@dataclass(frozen=True, slots=True)
class Pooled:
    """The metric over the outcomes of several folds together, of the cells and of their dense models. n: examples."""

    value: float
    dense: float
    n: int
    seeds: tuple[int, ...]

    @classmethod
    def of(cls, folds: Mapping[int, tuple[Measurement, Measurement]]) -> Pooled:
        """From {seed: (the cell's, its dense model's)}: means over all examples."""
        n = sum(own.n for own, _ in folds.values())
        value = sum(own.value * own.n for own, _ in folds.values()) / n
        return cls(value, sum(dense.value * dense.n for _, dense in folds.values()) / n, n, tuple(sorted(folds)))


@dataclass(frozen=True, slots=True)
class CellResult:
    """A cell with its verdict. Observers must not change it: it is what gets written.

    value, dense: the metric of the cell and of its dense model, in the task's unit; None where not measured.
    pooled: what the verdict was taken on, where that is not this cell's own value. judgement: what supports it.
    cached: the measurement was in the store before this run. error: one line, for `error` and `skipped`.
    output: what the plugins printed before an error.
    """

    cell: Cell
    verdict: Verdict
    metric: str
    dense: float | None = None
    measurement: Measurement | None = None
    cached: bool = False
    error: str | None = None
    output: str = ""
    pooled: Pooled | None = None
    judgement: Judgement | None = None

    @property
    def value(self) -> float | None:
        return self.measurement.value if self.measurement else None

    def _drop(self) -> dict[str, float | None] | None:
        found = self.judgement
        return None if found is None or found.low is None else {"low": found.low, "high": found.high}

    def _p_values(self) -> dict[str, float | None] | None:
        found = self.judgement
        return None if found is None or found.within is None else {"within": found.within, "beyond": found.beyond}

    @property
    def missed(self) -> str | None:
        """What to say where the sparsity is not the cell's level; cells of other levels may share the measurement."""
        if self.measurement is None or abs(self.measurement.realised - self.cell.level) <= _MISSED:
            return None
        return f"the level is {show_level(self.cell.level)}, but {self.measurement.realised:.4g} of the scope is pruned"

    @property
    def diagnosis(self) -> list[str]:
        """The measurement's findings, and a sparsity that was not asked for."""
        found = list(self.measurement.diagnosis) if self.measurement else []
        return found + ([self.missed] if self.missed else [])

    def to_json(self) -> dict[str, Any]:
        """The object of the `cells` list of `--json`."""
        cell, measured = self.cell, self.measurement
        return (
            {
                "id": cell.id,
                "task": cell.task,
                "pruner": cell.pruner,
                "phase": cell.phase,
                "level": cell.level,
                "seed": cell.seed,
                "scope": cell.scope,
                "params_digest": cell.params_digest,
                "verdict": self.verdict.value,
                "drop": self._drop(),
                "p": self._p_values(),
                "needed": self.judgement.needed if self.judgement else None,
                "needed_seeds": self.judgement.needed_seeds if self.judgement else None,
                "metric": self.metric,
                "value": self.value,
                "dense": self.dense,
                "realised": measured.realised if measured else None,
                "realised_model": measured.realised_model if measured else None,
                "n": measured.n if measured else None,
                "seconds": measured.seconds if measured else None,
                "steps": measured.steps if measured else None,
                "peak_memory": measured.peak_memory if measured else None,
                "cached": self.cached,
                "error": self.error,
                "diagnosis": self.diagnosis,
                "densities": measured.densities if measured else {},
                "logged": measured.logged if measured else {},
                "outcomes": measured.outcomes if measured else None,
            }
            | ({"pooled": asdict(self.pooled)} if self.pooled else {})
            | ({"added": True} if cell.added else {})
        )
