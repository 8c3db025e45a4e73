"""The baseline as a file: small, sorted, a line for each cell, so that a change of it can be reviewed like code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

from smc_harness.baseline.entries import Entries, Entry, Point, Precision, Subject
from smc_harness.cells import Verdict
from smc_harness.documents.strict import (
    INTEGER_OR_NONE,
    NUMBER,
    NUMBER_OR_NONE,
    TEXT_OR_NONE,
    member,
    members,
    of_kind,
)
from smc_harness.documents.writing import plain
from smc_harness.errors import UsageError
from smc_harness.verdict.first_fail import FirstFail
from smc_harness.verdict.margin import Margin

KIND = "smc-harness baseline"
SCHEMA = 1
_HINT = "a file that --update-baseline wrote would work"


def text_of(entries: Entries) -> str:
    """What is in the file, by task and pruner: equal entries give equal text."""
    shown = ",\n".join(_entry_text(entries[pair]) for pair in sorted(entries))
    return f'{{"kind": {json.dumps(KIND)}, "schema": {SCHEMA}, "entries": [\n{shown}\n]}}\n'


def _entry_text(entry: Entry) -> str:
    first_fails = [
        {"seeds": list(f.seeds), "last_pass": f.last_pass, "first_fail": f.first_fail, "monotone": f.monotone}
        for f in entry.first_fails
    ]
    about = {
        "task": entry.task,
        "pruner": entry.pruner,
        "phase": entry.phase,
        "params_digest": entry.params_digest,
        "versions": entry.versions,
        "options": entry.options,
        "subject": asdict(entry.subject),
    }
    lines = [f'  "{name}": {json.dumps(plain(value), sort_keys=True)}' for name, value in about.items()]
    for name, items in (("first_fail", first_fails), ("cells", [_cell(point) for point in entry.points])):
        lines.append(f'  "{name}": [\n' + ",\n".join(f"   {json.dumps(item)}" for item in items) + "\n  ]")
    return " {\n" + ",\n".join(lines) + "\n }"


def _cell(point: Point) -> dict[str, Any]:
    error, clusters = (point.precision.error, point.precision.clusters) if point.precision else (None, None)
    return {
        "level": point.level,
        "seed": point.seed,
        "value": point.value,
        "verdict": point.verdict.value,
        "n": point.n,
        "error": error,
        "clusters": clusters,
        "outcomes": point.outcomes,
    }


def read(path: Path) -> Entries:
    """Raises UsageError, in one line that says where the file is no baseline; FileNotFoundError where there is none."""
    try:
        return _entries(_parse(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}; {_HINT}") from error
    except (ValueError, OverflowError, RecursionError) as error:
        raise UsageError(f"{path}: {error}; {_HINT}") from error


def is_baseline(path: Path) -> bool:
    """Whether the file says that it is one."""
    try:
        found = _parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(found, dict) and "kind" in found


def _parse(text: str) -> Any:
    return json.loads(text, parse_constant=_refuse)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"it holds {constant}, which is no JSON")


def _entries(found: Any) -> Entries:
    if isinstance(found, dict) and "kind" not in found and "cells" in found:
        raise ValueError("these are the results of a run, which smc-harness compare RUN BASELINE takes")
    if not isinstance(found, dict) or found.get("kind") != KIND:
        raise ValueError("this is no baseline")
    if (schema := found.get("schema")) != SCHEMA or isinstance(schema, bool):
        raise ValueError(f"it has schema {schema!r}, and this smc-harness reads schema {SCHEMA}")
    read = [_entry(item, place) for place, item in members(found, "entries", dict)]
    entries = {(entry.task, entry.pruner): entry for entry in read}
    if len(entries) < len(read):
        raise ValueError("it has a task and pruner twice")
    return entries


def _entry(found: Any, place: str) -> Entry:
    task, pruner, phase, digest = (
        str(member(found, n, str, place)) for n in ("task", "pruner", "phase", "params_digest")
    )
    versions = member(found, "versions", dict, place)
    points = [_point(item, where) for where, item in members(found, "cells", dict, place)]
    if len({(point.level, point.seed) for point in points}) < len(points):
        raise ValueError(f"{place}.cells has a level twice")
    return Entry(
        task,
        pruner,
        phase,
        digest,
        {name: of_kind(text, str, f"{place}.versions.{name}") for name, text in versions.items()},
        member(found, "options", dict, place),
        _subject(member(found, "subject", dict, place), f"{place}.subject"),
        [_first_fail(item, task, pruner, where) for where, item in members(found, "first_fail", dict, place)],
        points,
    )


def _subject(found: Any, place: str) -> Subject:
    data = member(found, "data", (dict, type(None)), place)
    return Subject(
        member(found, "metric", TEXT_OR_NONE, place),
        member(found, "unit", TEXT_OR_NONE, place),
        member(found, "higher_is_better", bool, place),
        member(found, "n", INTEGER_OR_NONE, place),
        _by_seed(member(found, "dense", dict, place), NUMBER, f"{place}.dense"),
        member(found, "params", dict, place),
        None if data is None else _by_seed(data, str, f"{place}.data"),
        str(Margin.read(member(found, "tolerance", str, place))),
    )


def _by_seed(found: Mapping[str, Any], kind: Any, place: str) -> dict[int, Any]:
    if odd := [seed for seed in found if not seed.isdecimal()]:
        raise ValueError(f"{place} has {odd[0]!r}, which is no seed")
    return {int(seed): of_kind(value, kind, f"{place}.{seed}") for seed, value in found.items()}


def _first_fail(found: Any, task: str, pruner: str, place: str) -> FirstFail:
    seeds = tuple(seed for _, seed in members(found, "seeds", int, place))
    if not seeds:
        raise ValueError(f"{place}.seeds is []")
    last, first = (member(found, name, NUMBER_OR_NONE, place) for name in ("last_pass", "first_fail"))
    monotone = member(found, "monotone", bool, place)
    return FirstFail(task, pruner, seeds[0], last, first, monotone, last if first is None else first, None, seeds)


def _point(found: Any, place: str) -> Point:
    verdict = member(found, "verdict", str, place)
    if verdict not in list(Verdict):
        raise ValueError(f"{place}.verdict is {verdict!r}, which is none of {', '.join(Verdict)}")
    level, value = (float(member(found, name, NUMBER, place)) for name in ("level", "value"))
    n = member(found, "n", int, place)
    if n < 1:
        raise ValueError(f"{place}.n is {n}")
    return Point(
        level,
        member(found, "seed", int, place),
        value,
        n,
        Verdict(verdict),
        _precision(found, place),
        member(found, "outcomes", TEXT_OR_NONE, place),
    )


def _precision(found: Any, place: str) -> Precision | None:
    error, clusters = member(found, "error", NUMBER_OR_NONE, place), member(found, "clusters", INTEGER_OR_NONE, place)
    if error is None or clusters is None:
        return None
    if error < 0 or clusters < 2:
        raise ValueError(f"{place} has an error of {error} from {clusters} clusters")
    return Precision(float(error), clusters)
