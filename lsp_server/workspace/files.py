"""Texts of the workspace's files: as the editor has them, else as they are on the disk."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from context.workspace.ignore import is_secret
from context.workspace.scan import MAX_FILE_BYTES
from lsp_server.workspace.indexer import read_source

_MAX_KEPT_BYTES = 16 * 1024 * 1024


class Files:
    """Reads files; keeps those read last.

    Args:
        root: of the workspace.
        opened: gives the text of an open document as UTF-8 with ``\\n`` as its only EOL, by its
            path relative to the root; None if it is not open.
    """

    def __init__(
        self, root: Path, opened: Callable[[str], bytes | None] = lambda _path: None
    ) -> None:
        self._root = root
        self._opened = opened
        self._kept: OrderedDict[str, tuple[tuple[int, int], bytes]] = OrderedDict()
        self._n_bytes = 0

    def read(self, path: str) -> bytes | None:
        """The text of a file as UTF-8 with ``\\n`` as its only EOL; None if there is none."""
        if is_secret(path):
            return None
        if (text := self._opened(path)) is not None:
            return text
        place = self._root / path
        try:
            info = place.stat()
        except OSError:
            self._forget(path)
            return None
        if info.st_size > MAX_FILE_BYTES:
            return None
        state = info.st_size, info.st_mtime_ns
        kept = self._kept.get(path)
        if kept is not None and kept[0] == state:
            self._kept.move_to_end(path)
            return kept[1]
        self._forget(path)
        data = read_source(place)
        if data is not None:
            self._kept[path] = state, data
            self._n_bytes += len(data)
            while self._n_bytes > _MAX_KEPT_BYTES and len(self._kept) > 1:
                self._forget(next(iter(self._kept)))
        return data

    def _forget(self, path: str) -> None:
        kept = self._kept.pop(path, None)
        if kept is not None:
            self._n_bytes -= len(kept[1])
