"""Prompts whose KV cache lies on disk: a bounded folder of checksummed files.

Several engines may use one folder at once. Files are written under a temporary name and renamed,
so each is whole or not there; one that vanishes is simply gone. The time of a file's last change
is that of its last use, and those unused for longest make room. Nothing here raises when a file
or the disk is bad: it is a cache, and an engine that cannot use it evaluates its prompts.
"""

from __future__ import annotations

import array
import contextlib
import hashlib
import io
import logging
import os
import stat
import threading
import time
import uuid
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from lsp_server import paths
from lsp_server.engine.llama import kv_file
from lsp_server.engine.llama.kv_file import Damaged, Meta

_SUFFIX = ".kv"
_TEMPORARY = ".tmp"
# Older temporary files were left by an engine that was killed: writing one takes seconds.
_ABANDONED_S = 3600.0
_MAX_CLEAR_TRIES = 5

log = logging.getLogger("midfill.engine")


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """A prompt on disk.

    Args:
        name: of its file.
        meta: what the file holds.
        n_bytes: size of the file.
        used_ns: when it was used last, as ``time.time_ns``.
    """

    name: str
    meta: Meta
    n_bytes: int
    used_ns: int


class KvStore:
    """The prompts of one model and its settings.

    Args:
        folder: shared by all models; it is made private to the user. Once it is removed (see
            ``clear``) this store keeps nothing more, whatever stands in its place.
        key: of the model and the settings, see ``key_of``.
        max_bytes: what all files of the folder together may take.
        n_vocab: tokens of the model; a file that names others is not used.

    Raises:
        StoreError: the folder cannot be made, or belongs to somebody else.
        OSError: it cannot be opened.
    """

    def __init__(self, folder: Path, key: str, max_bytes: int, *, n_vocab: int) -> None:
        self.key = key
        self.max_bytes = max_bytes
        self._n_vocab = n_vocab
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
        self._folder = os.open(paths.private_dir(folder), flags)
        weakref.finalize(self, os.close, self._folder)
        self._guard = threading.Lock()
        self._index: dict[str, Stored] = {}
        self._complained = False
        self.scan()
        self._make_room(0)

    @property
    def prompts(self) -> tuple[Stored, ...]:
        """All prompts of this key, the one used last first."""
        with self._guard:
            return tuple(sorted(self._index.values(), key=lambda stored: -stored.used_ns))

    def name_of(self, tokens: Sequence[int], adapters: str = "") -> str:
        """Name of the file for a prompt that was evaluated with these adapters."""
        recipe = array.array("i", tokens).tobytes() + adapters.encode()
        digest = hashlib.sha256(recipe).hexdigest()
        return f"{self.key}-{digest[:32]}{_SUFFIX}"

    def get(self, name: str) -> Stored | None:
        """The prompt in a file, if there is one."""
        with self._guard:
            return self._index.get(name)

    def put(
        self,
        meta: Meta,
        payload: bytearray | memoryview | bytes,
        *,
        replaces: str = "",
        used_ns: int = 0,
    ) -> bool:
        """Write a prompt; False if it could not be kept.

        Args:
            meta: of this store's key.
            payload: see ``kv_file``.
            replaces: name of the file with an older version of the same text; it is removed.
            used_ns: when it was used last, as ``time.time_ns``; 0 is now.
        """
        name = self.name_of(meta.tokens, meta.adapters)
        used_ns = used_ns or time.time_ns()
        temporary = f"{os.getpid()}-{uuid.uuid4().hex}{_TEMPORARY}"
        try:
            if not self._make_room(kv_file.size_of(meta, len(payload)), replaces):
                return False
            n_bytes = self._write(temporary, meta, payload)
            os.utime(temporary, ns=(used_ns, used_ns), dir_fd=self._folder)
            os.replace(temporary, name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        except OSError as error:
            self._unlink(temporary)
            if not self._complained:
                log.warning("prompts cannot be saved to disk: %s", error.strerror)
            self._complained = True
            return False
        self._complained = False
        self._remember(Stored(name=name, meta=meta, n_bytes=n_bytes, used_ns=used_ns))
        if replaces and replaces != name:
            self.discard(replaces)
        self._make_room(0)
        self.scan()
        return True

    def load(self, stored: Stored, *, used: bool = True) -> tuple[Meta, memoryview] | None:
        """A prompt as it lies on disk now, checked; None if it cannot be used any more.

        Args:
            stored: which one.
            used: whether that counts as its last use.
        """
        name = stored.name
        try:
            with self._open(name) as (file, size, _):
                meta, payload = kv_file.read(file, size)
            self._check(name, meta)
            used_ns = time.time_ns() if used else stored.used_ns
            os.utime(name, ns=(used_ns, used_ns), dir_fd=self._folder)
        except Damaged as error:
            self.discard(name, str(error))
            return None
        except OSError as error:
            self._unreadable(name, error)
            return None
        self._remember(Stored(name=name, meta=meta, n_bytes=size, used_ns=used_ns))
        return meta, payload

    @contextlib.contextmanager
    def on_trial(self, name: str) -> Iterator[None]:
        """While llama.cpp reads a prompt its file is out of sight.

        So a state that ends the process, whatever the reason, does not end the next one too.
        """
        aside = f"{name}{_TEMPORARY}"
        self._rename(name, aside)
        yield
        self._rename(aside, name)

    def discard(self, name: str, reason: str = "") -> None:
        """Remove a file.

        Args:
            name: of the file.
            reason: what is wrong with it, for the log.
        """
        with self._guard:
            self._index.pop(name, None)
        if reason:
            log.warning("a saved prompt is removed, %s: %s", reason, name)
        self._unlink(name)

    def scan(self) -> None:
        """Look for files of this key that other engines wrote or removed."""
        there = _files(self._folder)
        names = {file.name for file in there}
        with self._guard:
            for name in [name for name in self._index if name not in names]:
                del self._index[name]
            known = set(self._index)
        for name in (file.name for file in there):
            if name.startswith(f"{self.key}-") and name not in known:
                stored = self._read_meta(name)
                if stored is not None:
                    self._remember(stored)
        self._sweep()

    # -- inside --------------------------------------------------------------------------

    def _write(self, name: str, meta: Meta, payload: bytearray | memoryview | bytes) -> int:
        # No fsync: a file that a power cut tears is found by its checksum.
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with os.fdopen(os.open(name, flags, 0o600, dir_fd=self._folder), "wb") as file:
            return kv_file.write(file, meta, payload)

    @contextlib.contextmanager
    def _open(self, name: str) -> Iterator[tuple[io.BufferedReader, int, int]]:
        """A file, not a link, for reading; its size in bytes, and the time of its last change."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(name, flags, dir_fd=self._folder), "rb") as file:
            info = os.fstat(file.fileno())
            yield file, info.st_size, info.st_mtime_ns

    def _read_meta(self, name: str) -> Stored | None:
        try:
            with self._open(name) as (file, size, changed_ns):
                meta = kv_file.read_meta(file, size)
            self._check(name, meta)
        except Damaged as error:
            self.discard(name, str(error))
            return None
        except OSError as error:
            self._unreadable(name, error)
            return None
        return Stored(name=name, meta=meta, n_bytes=size, used_ns=changed_ns)

    def _remember(self, stored: Stored) -> None:
        with self._guard:
            self._index[stored.name] = stored

    def _check(self, name: str, meta: Meta) -> None:
        if meta.key != self.key or name != self.name_of(meta.tokens, meta.adapters):
            raise Damaged("it belongs to another model or prompt")
        if max(meta.tokens) >= self._n_vocab or meta.drifted_from > len(meta.tokens):
            raise Damaged("its tokens are out of range")

    def _unreadable(self, name: str, error: OSError) -> None:
        with self._guard:
            self._index.pop(name, None)
        if not isinstance(error, FileNotFoundError):
            log.warning("a saved prompt cannot be read (%s): %s", error.strerror, name)

    def _make_room(self, n_bytes: int, first: str = "") -> bool:
        """Remove the files unused for longest, of any model; False if it can never fit.

        Args:
            n_bytes: what is to be written.
            first: name of a file that goes before all others.
        """
        if n_bytes > self.max_bytes:
            return False
        there = sorted(_files(self._folder), key=lambda f: (f.name != first, f.changed_ns))
        n_held = sum(file.n_bytes for file in there)
        for file in there:
            if n_held + n_bytes <= self.max_bytes:
                break
            self.discard(file.name)
            n_held -= file.n_bytes
        return True

    def _sweep(self) -> None:
        before_ns = time.time_ns() - int(1e9 * _ABANDONED_S)
        for file in _files(self._folder, _TEMPORARY):
            if file.changed_ns < before_ns:
                self._unlink(file.name)

    def _rename(self, old: str, new: str) -> None:
        with contextlib.suppress(OSError):
            os.replace(old, new, src_dir_fd=self._folder, dst_dir_fd=self._folder)

    def _unlink(self, name: str) -> None:
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=self._folder)


def key_of(model_sha256: str, recipe: Sequence[str | int | bool]) -> str:
    """Name shared by all engines that can use each other's files (16 hex digits).

    Args:
        model_sha256: hash of the model file.
        recipe: everything else that the state of a sequence depends on.
    """
    encoded = msgspec.msgpack.encode([kv_file.VERSION, model_sha256, list(recipe)])
    return hashlib.sha256(encoded).hexdigest()[:16]


def clear(folder: Path) -> tuple[int, int]:
    """Remove all prompts of all models; gives how many there were, and their bytes.

    The folder itself is removed and made anew, so that an engine which is just leaving cannot
    write into it any more.

    Raises:
        StoreError: the folder cannot be made again.
        OSError: a file cannot be removed.
    """
    n_files = n_bytes = 0
    folder = folder.resolve()
    for _ in range(_MAX_CLEAR_TRIES):
        for file in [*_files(folder), *_files(folder, _TEMPORARY)]:
            (folder / file.name).unlink(missing_ok=True)
            n_files += file.name.endswith(_SUFFIX)
            n_bytes += file.n_bytes
        # An engine may have written one more file meanwhile.
        with contextlib.suppress(OSError):
            folder.rmdir()
            break
    paths.private_dir(folder)
    return n_files, n_bytes


class _File(NamedTuple):
    """A file of ours, and the time of its last change."""

    name: str
    n_bytes: int
    changed_ns: int


def _files(folder: Path | int, suffix: str = _SUFFIX) -> list[_File]:
    """Files of ours in a folder."""
    found = []
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                info = entry.stat(follow_symlinks=False)
                if entry.name.endswith(suffix) and stat.S_ISREG(info.st_mode):
                    found.append(_File(entry.name, info.st_size, info.st_mtime_ns))
    return found
