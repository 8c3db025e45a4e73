"""Results on disk: one SQLite file, written by the driver alone."""

from __future__ import annotations

import json
import sqlite3
import time
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from smc_harness.cells import CellResult, Measurement
from smc_harness.errors import UsageError

SCHEMA_VERSION = 3
FILE = "results.sqlite"

# by the schema that brought them
_TABLES = (
    """
CREATE TABLE measurements (
    key TEXT PRIMARY KEY, task TEXT NOT NULL, pruner TEXT, level REAL, seed INTEGER NOT NULL,
    measurement TEXT NOT NULL, created REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE sessions (
    id INTEGER PRIMARY KEY, started REAL NOT NULL, finished REAL, command TEXT NOT NULL, exit_code INTEGER
);
CREATE TABLE session_cells (
    session INTEGER NOT NULL REFERENCES sessions(id), cell TEXT NOT NULL, verdict TEXT NOT NULL, key TEXT,
    result TEXT NOT NULL, PRIMARY KEY (session, cell)
) WITHOUT ROWID;
""",
    """
CREATE TABLE reports (session INTEGER PRIMARY KEY REFERENCES sessions(id), report BLOB NOT NULL);
""",
    """
CREATE TABLE outcomes (key TEXT PRIMARY KEY, outcomes BLOB NOT NULL);
""",
)


class Results:
    """The results of a store. A measurement is on disk when `keep` returns, or the `together` around it ends.

    Raises UsageError for a file written by a newer schema, or one that is not a store.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / FILE
        try:
            self._connection = sqlite3.connect(path, timeout=60.0, isolation_level=None)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._migrate(path)
        except sqlite3.Error as error:
            raise UsageError(f"{path}: {error}; remove the file, or use another --store") from error

    def _migrate(self, path: Path) -> None:
        with self.together() as connection:
            (found,) = connection.execute("PRAGMA user_version").fetchone()
            if found > SCHEMA_VERSION:
                raise UsageError(
                    f"{path}: written by a newer smc-harness (schema {found}; this one reads up to {SCHEMA_VERSION}); "
                    "upgrade, or use another --store"
                )
            for tables in _TABLES[found:]:
                for statement in filter(str.strip, tables.split(";")):
                    connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def together(self) -> _Transaction:
        """A context in which all that is written becomes durable at once, at its end: one wait for the disk."""
        return _Transaction(self._connection)

    def find(self, keys: Iterable[str]) -> dict[str, Measurement]:
        """The measurements that exist among `keys`."""
        found = {}
        for key in keys:
            row = self._connection.execute("SELECT measurement FROM measurements WHERE key = ?", (key,)).fetchone()
            if row is not None:
                found[key] = Measurement(**json.loads(row[0]))
        return found

    def keep(
        self,
        key: str,
        task: str,
        pruner: str | None,
        level: float | None,
        seed: int,
        measurement: Measurement,
        outcomes: bytes | None = None,
    ) -> None:
        """Write a measurement, and what it was for each example; one that is there already stays."""
        with self.together() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO measurements VALUES (?, ?, ?, ?, ?, ?, ?)",
                (key, task, pruner, level, seed, json.dumps(measurement.to_json()), time.time()),
            )
            if outcomes is not None:
                connection.execute("INSERT OR IGNORE INTO outcomes VALUES (?, ?)", (key, outcomes))

    def begin_session(self, command: str) -> int:
        with self.together() as connection:
            cursor = connection.execute("INSERT INTO sessions (started, command) VALUES (?, ?)", (time.time(), command))
            return int(cursor.lastrowid or 0)

    def settle(self, session: int, results: Iterable[tuple[CellResult, str | None]]) -> None:
        """Write the verdicts of a session's cells, each with the key of its measurement."""
        rows = [(session, r.cell.id, r.verdict.value, key, json.dumps(r.to_json())) for r, key in results]
        with self.together() as connection:
            connection.executemany("INSERT OR REPLACE INTO session_cells VALUES (?, ?, ?, ?, ?)", rows)

    def end_session(self, session: int, exit_code: int) -> None:
        with self.together() as connection:
            connection.execute(
                "UPDATE sessions SET finished = ?, exit_code = ? WHERE id = ?", (time.time(), exit_code, session)
            )

    def keep_report(self, session: int, report: str) -> None:
        """Write what `--json` writes of a session, for whoever asks for it later."""
        with self.together() as connection:
            row = (session, zlib.compress(report.encode()))
            connection.execute("INSERT OR REPLACE INTO reports VALUES (?, ?)", row)

    def report(self, session: int) -> str | None:
        """None for a session that is not there, or that did not come to its end."""
        row = self._connection.execute("SELECT report FROM reports WHERE session = ?", (session,)).fetchone()
        return None if row is None else zlib.decompress(row[0]).decode()

    def last_failed(self) -> set[str]:
        """Ids of the cells that failed or ended in error in the last session that settled any cell."""
        rows = self._connection.execute(
            "SELECT cell FROM session_cells WHERE session = (SELECT MAX(session) FROM session_cells) "
            "AND verdict IN ('fail', 'error')"
        )
        return {cell for (cell,) in rows}

    def sessions(self) -> list[dict[str, Any]]:
        """All sessions, oldest first."""
        rows = self._connection.execute(
            "SELECT s.id, s.started, s.finished, s.exit_code, s.command, COUNT(c.cell) FROM sessions s "
            "LEFT JOIN session_cells c ON c.session = s.id GROUP BY s.id ORDER BY s.id"
        )
        names = ("id", "started", "finished", "exit_code", "command", "cells")
        return [dict(zip(names, row, strict=True)) for row in rows]

    def close(self) -> None:
        self._connection.close()


class _Transaction:
    """BEGIN IMMEDIATE ... COMMIT, or ROLLBACK if anything raises; within another one, a part of that."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._within = connection.in_transaction

    def __enter__(self) -> sqlite3.Connection:
        if not self._within:
            self._connection.execute("BEGIN IMMEDIATE")
        return self._connection

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if not self._within:
            self._connection.execute("COMMIT" if kind is None else "ROLLBACK")


def existing(folder: Path) -> Results:
    """The results of a store that must be there. Raises UsageError."""
    if not (folder / FILE).is_file():
        raise UsageError(f"--store {folder}: no results there; a folder that an earlier run used would work")
    return Results(folder)


def outcomes(folder: Path, key: str) -> bytes | None:
    """What `keep` was given under a key; None where there is none. Any process may ask, and none waits for it."""
    if not (folder / FILE).is_file():
        return None
    connection = sqlite3.connect(f"{(folder / FILE).resolve().as_uri()}?mode=ro", uri=True, timeout=60.0)
    try:
        row = connection.execute("SELECT outcomes FROM outcomes WHERE key = ?", (key,)).fetchone()
    except sqlite3.OperationalError:  # a store of an older schema, which nobody has written to since
        return None
    finally:
        connection.close()
    return None if row is None else bytes(row[0])


def last_failed(folder: Path) -> set[str]:
    """`Results.last_failed` of a store that may not exist yet; asking does not make one."""
    if not (folder / FILE).is_file():
        return set()
    results = Results(folder)
    try:
        return results.last_failed()
    finally:
        results.close()
