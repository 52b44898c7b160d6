"""The file of the samples: a database of its own, which only the user can read (0600)."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from lsp_server import paths
from lsp_server.acceptance.samples import Sample
from lsp_server.acceptance.store import connect
from lsp_server.errors import StoreError

DATABASE = "samples.sqlite"
_TABLE = "CREATE TABLE IF NOT EXISTS samples (ts REAL NOT NULL, data TEXT NOT NULL)"


class SampleStore:
    """Writes samples in a thread of its own; what cannot be written is dropped.

    Args:
        folder: by default the state folder.
        keep_s: older samples are deleted when the file is opened; 0 keeps all.
        on_warning: called once, in that thread.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        keep_s: float = 0.0,
        on_warning: Callable[[StoreError], None] = lambda _error: None,
    ) -> None:
        self._path = _path(folder)
        self._keep_s = keep_s
        self._on_warning = on_warning
        self._executor = ThreadPoolExecutor(1, "samples")
        self._has_warned = False
        self._is_open = False

    def add(self, sample: Sample) -> None:
        """Take a sample and return at once."""
        with contextlib.suppress(RuntimeError):  # it is closed
            self._executor.submit(self._write, sample)

    def close(self) -> None:
        """Write what waits."""
        self._executor.shutdown()

    def _write(self, sample: Sample) -> None:
        try:
            with contextlib.closing(_opened(self._path)) as connection:
                if not self._is_open and self._keep_s > 0:
                    oldest = time.time() - self._keep_s
                    connection.execute("DELETE FROM samples WHERE ts < ?", (oldest,))
                data = msgspec.json.encode(sample).decode()
                connection.execute("INSERT INTO samples VALUES (?, ?)", (sample.ts, data))
            self._is_open = True
        except (sqlite3.Error, OSError, StoreError) as error:
            if not self._has_warned:
                self._has_warned = True
                self._on_warning(_refusal(self._path, error))


def read(folder: Path | None = None, since_ts: float | None = None) -> Iterator[Sample]:
    """The samples, the oldest first.

    Raises:
        StoreError: the file cannot be read.
    """
    path = _path(folder)
    if not path.exists():
        return
    try:
        with contextlib.closing(_opened(path)) as connection:
            rows = connection.execute(
                "SELECT data FROM samples WHERE ts >= ? ORDER BY ts, rowid", (since_ts or 0.0,)
            )
            for (data,) in rows:
                yield msgspec.json.decode(data, type=Sample)
    except (sqlite3.Error, OSError, msgspec.MsgspecError) as error:
        raise _refusal(path, error) from error


def clear(folder: Path | None = None) -> None:
    """Delete all samples for good.

    Raises:
        StoreError: the file cannot be changed.
    """
    path = _path(folder)
    if not path.exists():
        return
    try:
        with contextlib.closing(_opened(path)) as connection:
            connection.execute("DELETE FROM samples")
            connection.execute("VACUUM")
    except sqlite3.DatabaseError:
        _remove(path)
    except OSError as error:
        raise _refusal(path, error) from error


def _path(folder: Path | None) -> Path:
    return (folder or paths.state_dir()).absolute() / DATABASE


def _opened(path: Path) -> sqlite3.Connection:
    paths.private_dir(path.parent)
    handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    os.close(handle)
    path.chmod(0o600)
    connection = connect(path.as_uri() + "?mode=rw")
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute(_TABLE)
    return connection


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise _refusal(path, error) from error


def _refusal(path: Path, error: Exception) -> StoreError:
    if isinstance(error, StoreError):
        return error
    return StoreError(
        f"The texts for fine-tuning in {path} cannot be used: {error}.",
        code="samples_unusable",
        hint="Free some space or check the folder's permissions; `midfill stats --clear` deletes "
        "them, and acceptance_log.keep_text = false keeps none.",
    )
