"""The database file of the acceptance log: opened, repaired, written, read and cleared here."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import sqlite3
import time
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from lsp_server import paths
from lsp_server.acceptance.events import COMMON_FIELDS, Event, from_row
from lsp_server.acceptance.migrations import migrate
from lsp_server.acceptance.salt import SALT_FILE
from lsp_server.errors import StoreError

DATABASE = "events.sqlite"
_BUSY_TIMEOUT_S = 5.0
# Reading the whole file on opening is worth it while it takes well under a second.
_MAX_CHECKED_BYTES = 64 << 20
_MAX_REOPENINGS = 5
_COLUMNS = ", ".join((*COMMON_FIELDS, "data"))
_INSERT = (
    f"INSERT OR IGNORE INTO events (writer, seq, {_COLUMNS}) "
    f"VALUES ({', '.join('?' * (len(COMMON_FIELDS) + 3))})"
)

Identity = tuple[int, int]


class EventStore:
    """One connection to the database, to be used from one thread.

    Args:
        folder: where the database lies; by default the state folder.
        keep_s: older events are deleted when the database is opened; 0 keeps all.
    """

    def __init__(self, folder: Path | None = None, *, keep_s: float = 0.0) -> None:
        self._keep_s = keep_s
        self.path = (folder or paths.state_dir()).absolute() / DATABASE
        self.set_aside: list[Path] = []
        self._connection: sqlite3.Connection | None = None
        self._opened: Identity | None = None
        self._damaged: Identity | None = None

    def write(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Store rows ``(writer, seq, *to_row(event))``; they are committed when this returns.

        A row that is already there is left alone. A damaged database is set aside (see
        ``set_aside``) and a new one begun.

        Raises:
            StoreError: nothing of ``rows`` can be relied on to be stored; try again later.
        """
        for _ in range(_MAX_REOPENINGS):
            try:
                connection = self._open_for_writing()
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany(_INSERT, rows)
                connection.execute("COMMIT")
            except sqlite3.Error as error:
                damaged = self._opened if _is_damage(error) else None
                self.close()
                if damaged is not None:
                    self._damaged = damaged
                elif not _is_moved(error):
                    raise _refusal(self.path, error) from error
            except OSError as error:
                self.close()
                raise _refusal(self.path, error) from error
            else:
                # Another process may have set the file aside between our opening it and the
                # commit; what we wrote then lies in the file that is no longer read.
                if self._opened == _identity(self.path):
                    return
                self.close()
        raise StoreError(
            f"The acceptance log {self.path} keeps being damaged or replaced.",
            code="log_unstable",
            hint="Check the disk; midfill keeps the newest events in memory.",
        )

    def close(self) -> None:
        """Close the file; the next ``write`` opens it again."""
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                if self._connection.in_transaction:
                    self._connection.rollback()
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
        self._connection = None
        self._opened = None

    def _open_for_writing(self) -> sqlite3.Connection:
        if self._connection is not None:
            if self._opened == _identity(self.path):
                return self._connection
            self.close()
        paths.private_dir(self.path.parent)
        # The lock makes sure that of several processes one creates the tables, and that none
        # sets aside the new file another has just begun.
        with _locked(self.path.with_name("events.lock")):
            if self._damaged is not None and self._damaged == _identity(self.path):
                self._put_aside()
            try:
                return self._open_checked()
            except sqlite3.DatabaseError as error:
                if not _is_damage(error):
                    raise
            self.close()
            self._put_aside()
            return self._open_checked()

    def _open_checked(self) -> sqlite3.Connection:
        _create_private(self.path)
        self._connection = connection = connect(self.path.as_uri() + "?mode=rw")
        self._opened = _identity(self.path)
        connection.execute("PRAGMA journal_mode = WAL")
        # NORMAL: a killed process loses nothing that was committed; only a power cut can.
        connection.execute("PRAGMA synchronous = NORMAL")
        if self.path.stat().st_size <= _MAX_CHECKED_BYTES:
            (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            if verdict != "ok":
                damage = sqlite3.DatabaseError(verdict)
                damage.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
                raise damage
        migrate(connection)
        if self._keep_s > 0:
            oldest = time.time() - self._keep_s
            connection.execute("PRAGMA secure_delete = ON")
            connection.execute("DELETE FROM events WHERE ts < ?", (oldest,))
        return connection

    def _put_aside(self) -> None:
        """Rename the damaged database, with its companions, out of the way."""
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        target = self.path.with_name(f"{DATABASE}.damaged-{stamp}-{os.getpid()}")
        n = 0
        while target.exists():
            n += 1
            target = target.with_name(f"{DATABASE}.damaged-{stamp}-{os.getpid()}-{n}")
        for suffix in ("", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                os.rename(f"{self.path}{suffix}", f"{target}{suffix}")
        self._damaged = None
        self.set_aside.append(target)


def read_events(
    folder: Path | None = None, since_ts: float | None = None, kinds: Collection[str] = ()
) -> Iterator[Event]:
    """The stored events, oldest first; none when there is no log yet.

    Args:
        folder: where the database lies; by default the state folder.
        since_ts: seconds since 1970; older events are left out.
        kinds: tags of the events that are wanted; empty takes all.

    Raises:
        StoreError: the log is damaged or cannot be read.
    """
    path = (folder or paths.state_dir()).absolute() / DATABASE
    wanted = f" AND kind IN ({', '.join('?' * len(kinds))})" if kinds else ""
    query = f"SELECT {_COLUMNS} FROM events WHERE ts >= ?{wanted} ORDER BY ts, id"
    values = (since_ts if since_ts is not None else 0.0, *kinds)
    try:
        connection = _open_for_reading(path)
        if connection is None:
            return
        with contextlib.closing(connection):
            known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'events'")
            if known.fetchone() is None:
                return
            for row in connection.execute(query, values):
                event = from_row(row)
                if event is not None:
                    yield event
    except (sqlite3.Error, OSError) as error:
        raise _refusal(path, error) from error
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise _damage_refusal(path) from error


def clear_events(folder: Path | None = None) -> int:
    """Delete every stored event for good, set-aside files and the salt too; returns how many.

    Running servers go on logging into the emptied file.

    Raises:
        StoreError: the log cannot be changed.
    """
    path = (folder or paths.state_dir()).absolute() / DATABASE
    if not path.parent.is_dir():
        return 0
    store = EventStore(path.parent)
    n_deleted = 0
    try:
        if path.exists():
            connection = store._open_for_writing()
            connection.execute("PRAGMA secure_delete = ON")
            n_deleted = connection.execute("DELETE FROM events").rowcount
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        for leftover in path.parent.glob(f"{DATABASE}.damaged-*"):
            leftover.unlink(missing_ok=True)
        (path.parent / SALT_FILE).unlink(missing_ok=True)
    except (sqlite3.Error, OSError) as error:
        raise _refusal(path, error) from error
    finally:
        store.close()
    return n_deleted


def connect(uri: str) -> sqlite3.Connection:
    """A connection in autocommit mode that waits for other processes' writes."""
    return sqlite3.connect(uri, uri=True, timeout=_BUSY_TIMEOUT_S, isolation_level=None)


def _open_for_reading(path: Path) -> sqlite3.Connection | None:
    if not path.exists():
        return None
    connection = connect(path.as_uri() + "?mode=ro")
    try:
        connection.execute("SELECT 1 FROM sqlite_master").fetchone()
    except sqlite3.OperationalError as error:
        connection.close()
        if _primary(error) not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
            raise
        # In a folder that is not writable SQLite cannot make the shared-memory file that a
        # WAL database needs; nobody writes there, so reading the file as it is, is right.
        connection = connect(path.as_uri() + "?immutable=1")
    return connection


def _create_private(path: Path) -> None:
    """Make the file with mode 0600, which SQLite then gives to its companion files as well."""
    handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        if os.fstat(handle).st_mode & 0o077:
            os.fchmod(handle, 0o600)
    finally:
        os.close(handle)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _identity(path: Path) -> Identity | None:
    try:
        info = path.stat()
    except OSError:
        return None
    return info.st_dev, info.st_ino


def _primary(error: sqlite3.Error) -> int:
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _is_damage(error: sqlite3.Error) -> bool:
    return _primary(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _is_moved(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_READONLY_DBMOVED


def _refusal(path: Path, error: sqlite3.Error | OSError) -> StoreError:
    if isinstance(error, sqlite3.Error):
        if _is_damage(error):
            return _damage_refusal(path)
        full = _primary(error) == sqlite3.SQLITE_FULL
        busy = _primary(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    else:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        busy = False
    if full:
        return StoreError(
            f"The disk is full: the acceptance log {path} cannot grow.",
            code="log_disk_full",
            hint="Free some space, or choose another place with MIDFILL_STATE_DIR.",
        )
    if busy:
        return StoreError(
            f"Another program holds the acceptance log {path}.",
            code="log_busy",
            hint="Close programs that have it open.",
        )
    return StoreError(
        f"The acceptance log {path} cannot be used: {error}.",
        code="log_unusable",
        hint="Check the folder's permissions, or choose another place with MIDFILL_STATE_DIR.",
    )


def _damage_refusal(path: Path) -> StoreError:
    return StoreError(
        f"The acceptance log {path} is damaged.",
        code="log_damaged",
        hint="The language server sets it aside and begins a new one at the next suggestion; "
        "`midfill stats --clear` deletes it.",
    )
