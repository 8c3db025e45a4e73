"""Results on disk: one SQLite file, written by the driver alone."""

from __future__ import annotations

import json
import sqlite3
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from smc_harness.cells import CellResult, Measurement
from smc_harness.errors import StoreError, UsageError
from smc_harness.store import seal

SCHEMA_VERSION = 4
_SEALED = 4
"""The first schema whose measurements are sealed."""
FILE = "results.sqlite"
GOES_ON = "where that is mended, the same command goes on from here"
"""What someone can do whose store cannot be written."""

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
    """
ALTER TABLE measurements ADD COLUMN seal TEXT;
""",
)


class Results:
    """The results of a store. A measurement is on disk when `keep` returns, or the `together` around it ends.

    All that is done with it raises StoreError where the file cannot be read or written, is not a store, or was written
    by a newer schema.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        with _one_line(self.path):
            self._connection = sqlite3.connect(self.path, timeout=60.0, isolation_level=None)
            # a text that was damaged is no text any more; its seal tells
            self._connection.text_factory = lambda text: text.decode(errors="replace")
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
        self._migrate()

    def _migrate(self) -> None:
        with self.together() as connection:
            (found,) = connection.execute("PRAGMA user_version").fetchone()
            if found > SCHEMA_VERSION:
                raise StoreError(
                    f"{self.path}: written by a newer smc-harness (schema {found}; this one reads up to "
                    f"{SCHEMA_VERSION}); upgrade, or use another --store"
                )
            for tables in _TABLES[found:]:
                for statement in filter(str.strip, tables.split(";")):
                    connection.execute(statement)
            if found < _SEALED:  # what is there is taken for what was written, this once
                for key, text in connection.execute("SELECT key, measurement FROM measurements").fetchall():
                    connection.execute("UPDATE measurements SET seal = ? WHERE key = ?", (seal.of_text(key, text), key))
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def together(self) -> _Transaction:
        """A context in which all that is written becomes durable at once, at its end: one wait for the disk."""
        return _Transaction(self._connection, self.path)

    def _rows(self, statement: str, *values: Any) -> list[Any]:
        with _one_line(self.path):
            return self._connection.execute(statement, values).fetchall()

    def find(self, keys: Iterable[str]) -> dict[str, Measurement]:
        """The measurements that exist among `keys`, and are what was written."""
        found = {}
        for key in keys:
            for text, sealed in self._rows("SELECT measurement, seal FROM measurements WHERE key = ?", key):
                if sealed == seal.of_text(key, text):
                    found[key] = Measurement(**json.loads(text))
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
        """Write a measurement, and what it was for each example; one that is there already stays, if it is whole."""
        if key in self.find([key]):
            return
        text = json.dumps(measurement.to_json())
        row = (key, task, pruner, level, seed, text, time.time(), seal.of_text(key, text))
        with self.together() as connection:
            connection.execute("INSERT OR REPLACE INTO measurements VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
            if outcomes is not None:
                connection.execute("INSERT OR REPLACE INTO outcomes VALUES (?, ?)", (key, outcomes))

    def keys(self) -> list[str]:
        """Of all measurements, damaged ones as well."""
        return [key for (key,) in self._rows("SELECT key FROM measurements ORDER BY key")]

    def has_outcomes(self, key: str) -> bool:
        return bool(self._rows("SELECT 1 FROM outcomes WHERE key = ?", key))

    def drop(self, key: str) -> None:
        """Remove a measurement and its outcomes."""
        with self.together() as connection:
            connection.execute("DELETE FROM measurements WHERE key = ?", (key,))
            connection.execute("DELETE FROM outcomes WHERE key = ?", (key,))

    def take_over(self, key: str, other: Results) -> bool:
        """Keep what another store measured, if that is whole. Returns whether it was lacking here."""
        if key in self.find([key]) or key not in (found := other.find([key])):
            return False
        ((task, pruner, level, seed),) = other._rows(
            "SELECT task, pruner, level, seed FROM measurements WHERE key = ?", key
        )
        blob = next((bytes(blob) for (blob,) in other._rows("SELECT outcomes FROM outcomes WHERE key = ?", key)), None)
        self.keep(key, task, pruner, level, seed, found[key], blob)
        return True

    def begin_session(self, command: str) -> int:
        with self.together() as connection:
            cursor = connection.execute("INSERT INTO sessions (started, command) VALUES (?, ?)", (time.time(), command))
            return int(cursor.lastrowid or 0)

    def settle(self, session: int, results: Iterable[tuple[CellResult, str | None]]) -> None:
        """Write the verdicts of a session's cells, each with the key of its measurement."""
        rows = [(session, r.cell.id, r.verdict.value, key, json.dumps(r.to_json())) for r, key in results]
        with self.together() as connection:
            connection.executemany("INSERT OR REPLACE INTO session_cells VALUES (?, ?, ?, ?, ?)", rows)

    def count(self, session: int) -> int:
        """How many cells of a session have their verdict."""
        ((found,),) = self._rows("SELECT COUNT(*) FROM session_cells WHERE session = ?", session)
        return int(found)

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
        for (report,) in self._rows("SELECT report FROM reports WHERE session = ?", session):
            try:
                return zlib.decompress(report).decode()
            except (zlib.error, TypeError, ValueError):
                raise StoreError(
                    f"{self.path}: the report of run {session} is damaged; another run would work"
                ) from None
        return None

    def last_failed(self) -> set[str]:
        """Ids of the cells that failed or ended in error in the last session that settled any cell."""
        rows = self._rows(
            "SELECT cell FROM session_cells WHERE session = (SELECT MAX(session) FROM session_cells) "
            "AND verdict IN ('fail', 'error')"
        )
        return {cell for (cell,) in rows}

    def sessions(self) -> list[dict[str, Any]]:
        """All sessions, oldest first."""
        rows = self._rows(
            "SELECT s.id, s.started, s.finished, s.exit_code, s.command, COUNT(c.cell) FROM sessions s "
            "LEFT JOIN session_cells c ON c.session = s.id GROUP BY s.id ORDER BY s.id"
        )
        names = ("id", "started", "finished", "exit_code", "command", "cells")
        return [dict(zip(names, row, strict=True)) for row in rows]

    def close(self) -> None:
        self._connection.close()


class _Transaction:
    """BEGIN IMMEDIATE ... COMMIT, or ROLLBACK if anything raises; within another one, a part of that."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection, self._path = connection, path
        self._within = connection.in_transaction

    def __enter__(self) -> sqlite3.Connection:
        if not self._within:
            with _one_line(self._path):
                self._connection.execute("BEGIN IMMEDIATE")
        return self._connection

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        with _one_line(self._path):
            try:
                if not self._within and kind is None:
                    self._connection.execute("COMMIT")
            finally:
                if not self._within and self._connection.in_transaction:  # a full disk may have rolled it back
                    self._connection.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                raise error


@contextmanager
def _one_line(path: Path) -> Iterator[None]:
    """Raise StoreError for what goes wrong with the file."""
    try:
        yield
    except (sqlite3.Error, UnicodeError) as error:
        full = getattr(error, "sqlite_errorname", "") in ("SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_FSYNC")
        advice = GOES_ON if full else "remove the file, or use another --store"
        # an error may quote what is damaged, and that may be no text
        reason = "damaged" if isinstance(error, UnicodeError) else " ".join(str(error).split())
        raise StoreError(f"{path}: {reason}; {advice}") from error


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
    except sqlite3.DatabaseError:  # damaged, or of an older schema, which nobody has written to since
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
