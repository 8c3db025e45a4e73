"""A run read back from what `--json` wrote or the store kept, as what the closing report and the studies work on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from smc_harness.cells import AGREEMENT, Cell, CellResult, Judgement, Measurement, Pooled, Verdict
from smc_harness.documents.strict import (
    INTEGER_OR_NONE,
    NUMBER,
    NUMBER_OR_NONE,
    TEXT_OR_NONE,
    Kind,
    member,
    members,
    of_kind,
)
from smc_harness.documents.writing import plain
from smc_harness.errors import UsageError
from smc_harness.report.json_file import SCHEMA
from smc_harness.store.results import existing
from smc_harness.verdict.search import Search

_LATER = {"realised_model": 0.0, "densities": {}, "logged": {}, "outcomes": None, "steps": 0, "peak_memory": None}
"""What a cell may lack, and what it then is."""
_LONGEST = 19
"""Digits of a number that SQLite may not hold."""


@dataclass(frozen=True)
class SavedDense:
    """The dense model of one (task, seed), as far as a report needs it."""

    unit: str
    measurement: Measurement | None


@dataclass(frozen=True)
class SavedRun:
    """session, tasks: as they are in the file. denses: by (task, seed)."""

    session: Mapping[str, Any]
    tasks: Mapping[str, Mapping[str, Any]]
    results: Sequence[CellResult]
    denses: Mapping[tuple[str, int], SavedDense]

    @property
    def interrupted(self) -> bool:
        return bool(self.session.get("interrupted"))

    @property
    def search(self) -> Search:
        """How its levels were chosen."""
        return Search(self.option("search") or "grid", self.option("resolution"))

    def option(self, name: str) -> Any:
        """An option of the run; None where it had none of that name."""
        return self.session["options"].get(name)

    def tolerance(self, task: str) -> Any:
        """By which a task was judged, as `Margin.read` reads it; None in a file that does not say."""
        return self.tasks[task].get("tolerance", self.option("tolerance"))


def find(run: str, store: Path) -> SavedRun:
    """By the name of a file, or by the number of a session of the store. Raises UsageError."""
    if not (run.isdecimal() and len(run) < _LONGEST) or Path(run).exists():
        return read(Path(run))
    results = existing(store)
    try:
        text, sessions = results.report(int(run)), {str(row["id"]): row["command"] for row in results.sessions()}
    finally:
        results.close()
    if text is not None:
        return _parse(text, f"session {run} of {store}")
    if run in sessions:
        raise UsageError(f"session {run} of {store} did not end, or without the json plugin: run {sessions[run]} again")
    raise UsageError(f"{run}: no such file, and no such session in {store}; one that `list runs` names would work")


def of(report: dict[str, Any]) -> SavedRun:
    """A run that just ended, from the object that `--json` writes of it: reports work on saved runs alone."""
    return _run(plain(report))


def read(path: Path) -> SavedRun:
    """Raises UsageError, in one line that says where the file is not what `--json` writes."""
    try:
        return _parse(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}; a file that --json wrote would work") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: {error}; a file that --json wrote would work") from error


def _parse(text: str, place: str) -> SavedRun:
    try:
        return _run(json.loads(text, parse_constant=_refuse))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{place}: {error}; a whole file that --json wrote would work") from error


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"it holds {constant}, which is no JSON")


def _run(found: Any) -> SavedRun:
    if not isinstance(found, dict) or not {"schema", "cells"} <= set(found):
        raise ValueError("these are not the results of a run")
    if (schema := found["schema"]) != SCHEMA or isinstance(schema, bool):
        raise ValueError(f"it has schema {schema!r}, and this smc-harness reads schema {SCHEMA}")
    if "session" not in found:
        raise ValueError("it lists cells, as --collect-only does, without results")
    session, tasks = member(found, "session", dict), member(found, "tasks", dict)
    member(session, "options", dict, "session")
    _check(session, tasks)
    pools = _pools(members(found, "first_fail", dict))
    results = [_result(cell, pools, place) for place, cell in members(found, "cells", dict)]
    if len({result.cell.id for result in results}) < len(results):
        raise ValueError("it has a cell twice")
    if unknown := {result.cell.task for result in results} - set(tasks):
        raise ValueError(f"tasks.{min(unknown)} is missing")
    return SavedRun(session, tasks, results, _denses(tasks, results))


def _check(session: Mapping[str, Any], tasks: Mapping[str, Any]) -> None:
    """Raise ValueError for what a comparison with another run could not work on, where it is there at all."""
    for name in {"versions", "machine"} & session.keys():
        for key, value in member(session, name, dict, "session").items():
            of_kind(value, (str, *INTEGER_OR_NONE), f"session.{name}.{key}")
    kinds: dict[str, Kind] = {
        "metric": TEXT_OR_NONE,
        "higher_is_better": bool,
        "params": dict,
        "data": (dict, type(None)),
    }
    for task, about in tasks.items():
        for name in kinds.keys() & of_kind(about, dict, f"tasks.{task}").keys():
            member(about, name, kinds[name], f"tasks.{task}")
        for seed, text in (about.get("data") or {}).items():
            of_kind(text, str, f"tasks.{task}.data.{_seed(seed, f'tasks.{task}.data')}")


def _pools(found: Sequence[tuple[str, Any]]) -> dict[tuple[str, str, int], tuple[int, ...]]:
    """For each (task, pruner, seed) that is judged with others, the seeds of all of them."""
    pools: dict[tuple[str, str, int], tuple[int, ...]] = {}
    for place, item in found:
        if "seeds" in item:
            seeds = _seeds(item, place)
            task, pruner = (member(item, name, str, place) for name in ("task", "pruner"))
            pools |= {(task, pruner, seed): seeds for seed in seeds}
    return pools


def _seeds(found: Any, place: str) -> tuple[int, ...]:
    return tuple(seed for _, seed in members(found, "seeds", int, place))


def _result(found: dict[str, Any], pools: Mapping[tuple[str, str, int], tuple[int, ...]], place: str) -> CellResult:
    def text(name: str) -> str:
        return str(member(found, name, str, place))

    task, pruner, seed = text("task"), text("pruner"), int(member(found, "seed", int, place))
    level = float(member(found, "level", NUMBER, place))
    pool, added = pools.get((task, pruner, seed), ()), found.get("added") is True
    cell = Cell(task, pruner, level, seed, text("phase"), text("scope"), text("params_digest"), pool, added)
    if text("id") != cell.id:
        raise ValueError(f"{place}.id is {found['id']!r}, and the cell is {cell.id!r}")
    if text("verdict") not in list(Verdict):
        raise ValueError(f"{place}.verdict is {found['verdict']!r}, which is none of {', '.join(Verdict)}")
    result = CellResult(
        cell,
        Verdict(found["verdict"]),
        text("metric"),
        member(found, "dense", NUMBER_OR_NONE, place),
        _measurement(_LATER | found, place),
        member(found, "cached", bool, place),
        member(found, "error", TEXT_OR_NONE, place),
        pooled=_pooled(found["pooled"], f"{place}.pooled") if found.get("pooled") is not None else None,
        judgement=_judgement(found, place),
    )
    if result.measurement is not None and result.missed in result.measurement.diagnosis:
        result.measurement.diagnosis.remove(result.missed)  # the result says it itself
    return result


def _measurement(found: Mapping[str, Any], place: str) -> Measurement | None:
    value = member(found, "value", NUMBER_OR_NONE, place)
    if value is None:
        return None
    return Measurement(
        value,
        member(found, "n", int, place),
        member(found, "seconds", NUMBER, place),
        member(found, "steps", int, place),
        realised=member(found, "realised", NUMBER, place),
        realised_model=member(found, "realised_model", NUMBER, place),
        densities=member(found, "densities", dict, place),
        diagnosis=[finding for _, finding in members(found, "diagnosis", str, place)],
        logged=member(found, "logged", dict, place),
        outcomes=member(found, "outcomes", TEXT_OR_NONE, place),
        peak_memory=member(found, "peak_memory", INTEGER_OR_NONE, place),
    )


def _pooled(found: Any, place: str) -> Pooled:
    value, dense = (member(found, name, NUMBER, place) for name in ("value", "dense"))
    return Pooled(value, dense, member(found, "n", int, place), _seeds(found, place))


def _judgement(found: Mapping[str, Any], place: str) -> Judgement | None:
    """What supports the verdict; None where nothing but the scores does."""
    if found.get("drop") is None and found.get("p") is None:
        return None

    def pair(name: str, ends: tuple[str, str]) -> list[float | None]:
        if found.get(name) is None:
            return [None, None]
        return [member(found[name], end, NUMBER, f"{place}.{name}") for end in ends]

    examples, seeds = (
        of_kind(found.get(name), INTEGER_OR_NONE, f"{place}.{name}") for name in ("needed", "needed_seeds")
    )
    low, high, within, beyond = *pair("drop", ("low", "high")), *pair("p", ("within", "beyond"))
    return Judgement(Verdict(found["verdict"]), low, high, examples, seeds, within, beyond)


def _denses(tasks: Mapping[str, Any], results: Sequence[CellResult]) -> dict[tuple[str, int], SavedDense]:
    """By the scores of every seed. How many examples there were, and what was selected on, is what its cells say."""
    cells = {(r.cell.task, r.cell.seed): r.measurement for r in reversed(results) if r.measurement is not None}
    denses = {}
    for task, about in tasks.items():
        place = f"tasks.{task}"
        unit = member(about, "unit", TEXT_OR_NONE, place) or ""
        n = member(about, "n", INTEGER_OR_NONE, place)
        for seed, score in member(about, "dense_by_seed", dict, place).items():
            number = _seed(seed, f"{place}.dense_by_seed")
            of_kind(score, NUMBER_OR_NONE, f"{place}.dense_by_seed.{seed}")
            cell = cells.get((task, number))
            logged = {name: value for name, value in (cell.logged if cell else {}).items() if name == "selected_on"}
            logged |= _agreement(about, seed, place)
            measured = None if score is None else Measurement(score, cell.n if cell else n or 1, 0.0, logged=logged)
            denses[task, number] = SavedDense(unit, measured)
    return denses


def _agreement(about: Any, seed: str, place: str) -> dict[str, Any]:
    """What --evaluate-in made of a seed's dense outcomes; nothing where the run had no such option."""
    found = about.get("evaluation", {})
    found = of_kind(found, dict, f"{place}.evaluation").get(seed)
    if found is None:
        return {}
    where = f"{place}.evaluation.{seed}"
    kinds: tuple[Kind, ...] = (str, NUMBER, NUMBER)
    return {name: member(found, name, kind, where) for name, kind in zip(AGREEMENT, kinds, strict=True)}


def _seed(text: str, place: str) -> int:
    """A seed that is the name of a member."""
    if not text.isdecimal():
        raise ValueError(f"{place} has {text!r}, which is no seed")
    return int(text)
