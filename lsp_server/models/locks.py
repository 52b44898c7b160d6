"""Locks between processes, and what a file error means to the user."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from lsp_server.errors import FetchError, MidfillError, StoreError


@contextlib.contextmanager
def locked(path: Path, *, wait: bool) -> Iterator[bool]:
    """Hold an exclusive lock on the file ``path``; the system frees it if the process dies.

    Args:
        path: the lock file; it is made if it is not there, and stays.
        wait: False does not wait for another holder.

    Yields:
        True when the lock is held; False when another process has it and ``wait`` is False.

    Raises:
        StoreError: the file cannot be made.
    """
    with file_errors(path.parent):
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(handle)


@contextlib.contextmanager
def file_errors(folder: Path) -> Iterator[None]:
    """Turn what goes wrong while writing into ``folder`` into an error that says what to do.

    Raises:
        FetchError: ``disk_full``.
        StoreError: ``folder_unwritable``.
    """
    try:
        yield
    except OSError as error:
        raise _explain(error, folder) from error


def disk_full(folder: Path, detail: str = "") -> FetchError:
    """The error for a full disk; what was fetched stays there."""
    return FetchError(
        f"There is not enough space in {folder}.{' ' + detail if detail else ''}",
        code="disk_full",
        hint="Free some space and run the same command again; it goes on where it stopped. "
        "Or choose another place with MIDFILL_CACHE_DIR.",
    )


def _explain(error: OSError, folder: Path) -> MidfillError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return disk_full(folder)
    return StoreError(
        f"Cannot write into {folder}: {error.strerror or error}.",
        code="folder_unwritable",
        hint="Check its permissions, or choose another place with MIDFILL_CACHE_DIR.",
    )
