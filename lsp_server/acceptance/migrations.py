"""The tables of the acceptance log, as numbered steps. A step that was released never changes."""

from __future__ import annotations

import sqlite3
import time

MIGRATIONS: tuple[tuple[int, str, tuple[str, ...]], ...] = (
    (
        1,
        "events",
        (
            # (writer, seq) names an event for good, so that writing it again after a commit
            # whose outcome is unknown cannot count it twice.
            """
            CREATE TABLE events (
                id INTEGER PRIMARY KEY,
                writer TEXT NOT NULL,
                seq INTEGER NOT NULL,
                kind TEXT NOT NULL,
                completion_id TEXT NOT NULL,
                ts REAL NOT NULL,
                session TEXT NOT NULL,
                client TEXT NOT NULL,
                language TEXT NOT NULL,
                model TEXT NOT NULL,
                data TEXT NOT NULL,
                UNIQUE (writer, seq)
            )
            """,
            "CREATE INDEX events_by_ts ON events (ts)",
        ),
    ),
)


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the database up to date, each step in a transaction of its own.

    Args:
        connection: in autocommit mode (``isolation_level=None``).

    Raises:
        sqlite3.Error: the database cannot be changed; it is as before the failed step.
    """
    connection.execute(
        "CREATE TABLE IF NOT EXISTS migrations "
        "(number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_ts REAL NOT NULL)"
    )
    applied = {number for (number,) in connection.execute("SELECT number FROM migrations")}
    for number, name, statements in MIGRATIONS:
        if number in applied:
            continue
        connection.execute("BEGIN IMMEDIATE")
        try:
            for statement in statements:
                connection.execute(statement)
            connection.execute(
                "INSERT INTO migrations VALUES (?, ?, ?)", (number, name, time.time())
            )
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
