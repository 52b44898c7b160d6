"""Suggestions on disk: whoever opens a file again finds those that were made at the same text.

The file is diskcache's. Its own ``Disk`` pickles what it does not know and unpickles what it finds
(CVE-2025-69872); ``MsgpackDisk`` does neither: what is not a string that stands for a msgpack value
is refused, and the whole folder is set aside.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import diskcache
import msgspec

from lsp_server import paths
from lsp_server.errors import StoreError
from lsp_server.types import TokenChunk

# Names what is stored: other versions' entries are not found.
FORMAT = 1
# Suggestions of larger texts are rare, and would push many others out.
_MAX_ENTRY_BYTES = 64 * 1024
# Later the code of other files has become another.
_KEEP_S = 14 * 86_400.0
# Whoever waits for a suggestion does not wait for a slow disk.
_READ_S = 0.05
_CLOSE_S = 5.0
_DAMAGED = ".damaged"
# Another program's lock is waited for so long, in the cache's own thread.
_LOCK_S = 1.0

_Value = TypeVar("_Value")


class Saved(msgspec.Struct, frozen=True, kw_only=True):
    """What the engine said at a place: its stream, as far as it was wanted."""

    chunks: tuple[TokenChunk, ...]


class _ForeignError(Exception):
    """The folder holds something that is not of this cache."""


class MsgpackDisk(diskcache.Disk):  # type: ignore[misc]  # diskcache has no types
    """Keys are strings, values msgpack inside the database, and nothing is ever unpickled."""

    def put(self, key: object) -> tuple[str, bool]:
        """The key as it is stored."""
        if not isinstance(key, str):
            raise TypeError("keys are strings")
        return key, True

    def get(self, key: object, raw: object) -> str:
        """A key that was stored."""
        if not raw or not isinstance(key, str):
            raise _ForeignError("a key that is no string")
        return key

    def store(
        self, value: object, read: bool, key: object = None
    ) -> tuple[int, int, None, sqlite3.Binary]:
        """The value as it is stored."""
        if read:
            raise TypeError("values are no files")
        data = msgspec.msgpack.encode(value)
        return 0, diskcache.core.MODE_RAW, None, sqlite3.Binary(data)

    def fetch(self, mode: object, filename: object, value: object, read: bool) -> bytes:
        """A value that was stored, not decoded yet."""
        if mode != diskcache.core.MODE_RAW or filename is not None or read:
            raise _ForeignError(f"a value of the mode {mode!r}")
        if not isinstance(value, bytes):
            raise _ForeignError("a value that is no msgpack")
        return value

    def remove(self, file_path: object) -> None:
        """There are no files; a name that stands in the database is nobody's to delete."""


class SuggestionCache:
    """A bounded folder of suggestions, read and written in a thread of its own.

    Trouble with the disk never keeps suggestions from being made: a damaged folder is set aside and
    begun anew once; after that, and where the disk is full or may not be written to, the cache is
    off for this session. Only the latter is worth a warning.

    Args:
        max_bytes: size of the folder; 0 stores and finds nothing.
        folder: by default ``suggestions`` in the cache folder.
        on_warning: called at most once, on the event loop.
    """

    def __init__(
        self,
        max_bytes: int,
        folder: Path | None = None,
        *,
        on_warning: Callable[[StoreError], None] = lambda _error: None,
    ) -> None:
        self._max_bytes = max_bytes
        self._folder = folder or paths.suggestions_dir()
        self._on_warning = on_warning
        self._cache: Any = None
        self._executor: ThreadPoolExecutor | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._may_begin_anew = True
        self._is_off = False

    @property
    def is_on(self) -> bool:
        """Whether anything is stored and found."""
        return self._max_bytes > 0 and not self._is_off

    async def get(self, key: str) -> Saved | None:
        """What was stored under a key; None as well where the disk does not answer in time.

        Args:
            key: see ``key_of``.
        """
        if not self.is_on:
            return None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_READ_S):
                return await self._run(lambda: self._read(key), None)
        return None

    def put(self, key: str, saved: Saved) -> None:
        """Store something, in the background.

        Args:
            key: see ``key_of``.
            saved: what the engine said.
        """
        if self.is_on and sum(len(chunk.text) for chunk in saved.chunks) <= _MAX_ENTRY_BYTES:
            self._run(lambda: self._write(key, saved), None)

    def limit(self, max_bytes: int) -> None:
        """Take no more room than that from now on; 0 stores and finds nothing."""
        if max_bytes == self._max_bytes:
            return
        self._max_bytes = max_bytes
        if self.is_on and self._executor is not None:
            self._run(lambda: self._opened().reset("size_limit", max_bytes), None)

    async def aclose(self) -> None:
        """Write what waits, and close the file."""
        self._is_off = True
        executor, self._executor = self._executor, None
        if executor is None:
            return
        closed = asyncio.wrap_future(executor.submit(self._close))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_S):
                await closed
        executor.shutdown(wait=False)

    # -- in the cache's thread -----------------------------------------------------------

    def _run(self, work: Callable[[], _Value], otherwise: _Value) -> asyncio.Future[_Value]:
        self._loop = asyncio.get_running_loop()
        if self._executor is None:
            self._executor = ThreadPoolExecutor(1, "suggestions")
        future = self._executor.submit(self._guarded, work, otherwise)
        return asyncio.wrap_future(future)

    def _guarded(self, work: Callable[[], _Value], otherwise: _Value) -> _Value:
        if self._is_off and self._cache is None:
            return otherwise
        try:
            return work()
        except diskcache.Timeout:
            return otherwise  # another process holds the file for long
        except (StoreError, OSError) as error:
            self._turn_off(error)
        except sqlite3.Error as error:
            if _is_damage(error):
                self._begin_anew()
            else:
                self._turn_off(error)
        except (_ForeignError, msgspec.MsgspecError, TypeError, ValueError, AttributeError):
            # What diskcache makes of a planted table of settings is any of these.
            self._begin_anew()
        return otherwise

    def _read(self, key: str) -> Saved | None:
        data = self._opened().get(key)
        return None if data is None else msgspec.msgpack.decode(data, type=Saved)

    def _write(self, key: str, saved: Saved) -> None:
        self._opened().set(key, saved, expire=_KEEP_S)

    def _opened(self) -> Any:
        if self._cache is None:
            paths.private_dir(self._folder)
            self._cache = _open(self._folder, self._max_bytes)
        return self._cache

    def _close(self) -> None:
        cache, self._cache = self._cache, None
        if cache is not None:
            with contextlib.suppress(sqlite3.Error, OSError):
                cache.close()

    def _begin_anew(self) -> None:
        """Set the folder aside; the next piece of work makes a new one, once."""
        self._close()
        try:
            _put_aside(self._folder)
        except OSError as error:
            self._turn_off(error)
            return
        if not self._may_begin_anew:
            self._is_off = True
        self._may_begin_anew = False

    def _turn_off(self, error: Exception) -> None:
        self._close()
        if self._is_off:
            return
        self._is_off = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is gone, and with it who could read
                self._loop.call_soon_threadsafe(self._on_warning, _warning(self._folder, error))


def key_of(*parts: object) -> str:
    """The key of everything that a suggestion depends on.

    Args:
        parts: texts, numbers and structs of them.
    """
    digest = hashlib.blake2b(digest_size=20)
    for part in (FORMAT, *parts):
        data = msgspec.msgpack.encode(part, order="deterministic")
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()


def clear(folder: Path | None = None) -> int:
    """Delete all that is stored, and what was set aside; gives the number of suggestions.

    Running servers go on with the emptied file.

    Raises:
        OSError: the folder cannot be changed.
        sqlite3.Error: the file cannot be changed.
    """
    folder = folder or paths.suggestions_dir()
    for path in folder.parent.glob(f"{folder.name}{_DAMAGED}*"):
        shutil.rmtree(path)
    if not (folder / diskcache.core.DBNAME).exists():
        return 0
    n_entries = 0
    try:
        with contextlib.closing(_open(folder, 0)) as cache:
            n_entries = len(cache)
            for statement in (
                "PRAGMA secure_delete = ON",
                "DELETE FROM Cache",
                "VACUUM",
                "PRAGMA wal_checkpoint(TRUNCATE)",
            ):
                cache._sql(statement)
    except (sqlite3.DatabaseError, _ForeignError, TypeError, ValueError, AttributeError):
        shutil.rmtree(folder)  # damaged: nobody can read it
    return n_entries


def _open(folder: Path, max_bytes: int) -> Any:
    with _private_files(folder):
        return diskcache.Cache(
            str(folder),
            timeout=_LOCK_S,
            disk=MsgpackDisk,
            **({"size_limit": max_bytes} if max_bytes else {}),
            eviction_policy="least-recently-stored",
            cull_limit=10,
            tag_index=0,
            statistics=0,
            sqlite_mmap_size=0,
            disk_min_file_size=2**30,
            disk_pickle_protocol=0,
        )


@contextlib.contextmanager
def _private_files(folder: Path) -> Iterator[None]:
    """SQLite gives its companion files the mode of the database, which is made here."""
    path = folder / diskcache.core.DBNAME
    handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        os.fchmod(handle, 0o600)
    finally:
        os.close(handle)
    yield


def _put_aside(folder: Path) -> None:
    """Rename a folder out of the way; what was set aside before it goes."""
    for old in folder.parent.glob(f"{folder.name}{_DAMAGED}*"):
        shutil.rmtree(old, ignore_errors=True)
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    with contextlib.suppress(FileNotFoundError):
        os.rename(folder, folder.with_name(f"{folder.name}{_DAMAGED}-{stamp}-{os.getpid()}"))


def _is_damage(error: sqlite3.Error) -> bool:
    """Whether a file is no database, a broken one, or gone; not that it cannot be written."""
    code = int(getattr(error, "sqlite_errorcode", 0))
    lost = (sqlite3.SQLITE_READONLY_DBMOVED, sqlite3.SQLITE_IOERR_SHORT_READ)
    if code in lost or code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return True
    # A table or a column is missing, or a value has another type.
    return code & 0xFF in (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_MISMATCH) or (
        isinstance(error, sqlite3.ProgrammingError | sqlite3.InterfaceError)
    )


def _warning(folder: Path, error: Exception) -> StoreError:
    if isinstance(error, StoreError):
        return error
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return StoreError(
        f"Suggestions cannot be kept in {folder} ({reason}); they are made all the same.",
        code="suggestion_cache_off",
        hint="Free some space or check the folder's permissions, or set completion.cache_mib to 0.",
    )
