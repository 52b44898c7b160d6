"""A model file in the making: bytes joined so far, and which parts they came from.

Every source delivers the same bytes, so one can go on where another stopped.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import msgspec

from lsp_server.models.locks import disk_full, file_errors

_SLACK_BYTES = 64 * 2**20


class _State(msgspec.Struct, kw_only=True):
    """Beside the partial file: the parts in it, and where the last whole one ends."""

    sha256: str
    n_parts: int = 0
    end_bytes: int = 0


class Partial:
    """The file ``NAME.partial`` and its state ``NAME.partial.json``.

    Args:
        target: where the finished model goes.
        sha256: hash of the finished model; leftovers of another one are dropped.

    Raises:
        StoreError: the folder cannot be written.
    """

    def __init__(self, target: Path, sha256: str) -> None:
        self.target = target
        self.folder = target.parent
        self.path = target.with_name(target.name + ".partial")
        self.staging = target.with_name(target.name + ".parts")
        self._state_path = target.with_name(target.name + ".partial.json")
        self._state = self._load_state(sha256)
        with file_errors(self.folder):
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._file = os.fdopen(handle, "r+b", buffering=0)
            if self._state.end_bytes > self.n_bytes:
                self._state = _State(sha256=sha256)
            self._file.seek(0, os.SEEK_END)

    @property
    def n_bytes(self) -> int:
        """Bytes there now."""
        return os.fstat(self._file.fileno()).st_size

    @property
    def n_parts(self) -> int:
        """Whole parts joined."""
        return self._state.n_parts

    @property
    def end_bytes(self) -> int:
        """Where the last whole part ends."""
        return self._state.end_bytes

    def truncate(self, n_bytes: int) -> None:
        """Drop what lies after ``n_bytes``; the next bytes go there.

        Whole parts count no more once some of their bytes are dropped.
        """
        with file_errors(self.folder):
            if n_bytes < self._state.end_bytes:
                self._state = _State(sha256=self._state.sha256)
                self._save_state()
            self._file.truncate(n_bytes)
            self._file.seek(n_bytes)

    def append(self, data: bytes) -> None:
        """Add bytes.

        Raises:
            FetchError: ``disk_full``; what is there stays.
        """
        with file_errors(self.folder):
            view = memoryview(data)
            while view:
                view = view[self._file.write(view) or 0 :]

    def end_part(self) -> None:
        """Note that the bytes so far end with a whole part, and make that last."""
        with file_errors(self.folder):
            os.fsync(self._file.fileno())
            self._state.n_parts += 1
            self._state.end_bytes = self.n_bytes
            self._save_state()

    def finish(self) -> None:
        """Make the file the model: private, on the disk, under its name."""
        with file_errors(self.folder):
            os.fchmod(self._file.fileno(), 0o600)
            os.fsync(self._file.fileno())
            self.path.replace(self.target)
            _sync_folder(self.folder)
        self._state_path.unlink(missing_ok=True)
        shutil.rmtree(self.staging, ignore_errors=True)
        self.close()

    def discard(self) -> None:
        """Remove everything fetched so far."""
        self.close()
        remove_leftovers(self.target)

    def close(self) -> None:
        """Close the file; it stays."""
        self._file.close()

    def require_space(self, size_bytes: int, extra_bytes: int) -> None:
        """Check that the rest of the model fits on the disk.

        Args:
            size_bytes: size of the finished model.
            extra_bytes: what the source needs beside it for a while.

        Raises:
            FetchError: ``disk_full``.
        """
        needed = max(size_bytes - self.n_bytes, 0) + extra_bytes + _SLACK_BYTES
        with file_errors(self.folder):
            free = shutil.disk_usage(self.folder).free
        if free < needed:
            raise disk_full(
                self.folder, f"{needed / 1e6:,.0f} MB are needed, {free / 1e6:,.0f} MB are free."
            )

    def _save_state(self) -> None:
        temporary = self._state_path.with_name(self._state_path.name + ".new")
        temporary.write_bytes(msgspec.json.encode(self._state))
        temporary.replace(self._state_path)

    def _load_state(self, sha256: str) -> _State:
        try:
            state = msgspec.json.decode(self._state_path.read_bytes(), type=_State)
        except (OSError, msgspec.DecodeError):
            return _State(sha256=sha256)
        if state.sha256 == sha256 and state.n_parts >= 0 and state.end_bytes >= 0:
            return state
        with file_errors(self.folder):
            remove_leftovers(self.target)
        return _State(sha256=sha256)


def remove_leftovers(target: Path) -> None:
    """Remove what an unfinished fetch of ``target`` left."""
    for suffix in (".partial", ".partial.json"):
        target.with_name(target.name + suffix).unlink(missing_ok=True)
    shutil.rmtree(target.with_name(target.name + ".parts"), ignore_errors=True)


def _sync_folder(folder: Path) -> None:
    """Make a rename last; not every file system can."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)
