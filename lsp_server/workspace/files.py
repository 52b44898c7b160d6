"""Texts of the workspace's files: as the editor has them, else as they are on the disk."""

from __future__ import annotations

import asyncio
import os
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from context.workspace.ignore import is_secret
from context.workspace.scan import MAX_FILE_BYTES
from lsp_server.workspace.indexer import read_source

_MAX_KEPT_BYTES = 16 * 1024 * 1024


class _Kept(NamedTuple):
    state: tuple[int, int]
    # None where it is no text.
    data: bytes | None


class Files:
    """Reads files; keeps those read last.

    Args:
        root: of the workspace.
        opened: gives the text of an open document as UTF-8 with ``\n`` as its only EOL, by its
            path relative to the root; None if it is not open.
        at_once: whether whoever asks for a file waits for the disk; else it is there once it was
            fetched.

    Attributes:
        missing: files that were asked for and are not there yet.
    """

    def __init__(
        self,
        root: Path,
        opened: Callable[[str], bytes | None] = lambda _path: None,
        *,
        at_once: bool = True,
    ) -> None:
        self.missing: dict[str, None] = {}
        self._root = root
        self._opened = opened
        self._at_once = at_once
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._n_bytes = 0

    def read(self, path: str) -> bytes | None:
        """The text of a file as UTF-8 with ``\n`` as its only EOL; None if there is none."""
        if is_secret(path):
            return None
        if (text := self._opened(path)) is not None:
            return text
        state = _state_of(os.path.join(self._root, path))
        kept = self._kept.get(path)
        if kept is not None and kept.state == state:
            self._kept.move_to_end(path)
            return kept.data
        if state is None or not self._at_once:
            self._forget(path)
            if state is not None:
                self.missing[path] = None
            return None
        return self._keep(path, _Kept(state, read_source(self._root / path)))

    async def fetch(self, path: str) -> bytes | None:
        """The same, read from the disk without holding anybody up."""
        self.missing.pop(path, None)
        place = self._root / path
        if (state := _state_of(place)) is not None and not is_secret(path):
            self._keep(path, _Kept(state, await asyncio.to_thread(read_source, place)))
        return self.read(path)

    async def once(self, path: str) -> bytes | None:
        """The same, for somebody who does not come back for it."""
        if is_secret(path):
            return None
        if (text := self._opened(path)) is not None:
            return text
        if _state_of(self._root / path) is None:
            return None
        return await asyncio.to_thread(read_source, self._root / path)

    def _keep(self, path: str, kept: _Kept) -> bytes | None:
        self._forget(path)
        self._kept[path] = kept
        self._n_bytes += len(kept.data or b"")
        while self._n_bytes > _MAX_KEPT_BYTES and len(self._kept) > 1:
            self._forget(next(iter(self._kept)))
        return kept.data

    def _forget(self, path: str) -> None:
        kept = self._kept.pop(path, None)
        if kept is not None:
            self._n_bytes -= len(kept.data or b"")


def _state_of(place: str | Path) -> tuple[int, int] | None:
    """What tells a file from its other versions; None if it is not there or too large."""
    try:
        info = os.stat(place)
    except OSError:
        return None
    return (info.st_size, info.st_mtime_ns) if info.st_size <= MAX_FILE_BYTES else None
