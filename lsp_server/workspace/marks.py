"""Files that the user wants in every prompt, or in none: by settings, and for this session."""

from __future__ import annotations

import re

from lsp_server.settings import ContextSettings
from lsp_server.types import FileMark

# What a pattern of .gitignore does not take for itself.
_SPECIAL = re.compile(r"([\\*?\[\]!# ])")


class Marks:
    """Pinned and banned files of one workspace.

    Args:
        settings: what holds without a mark.
    """

    def __init__(self, settings: ContextSettings) -> None:
        self._pinned = dict.fromkeys(settings.pin)
        self._patterns = settings.ban
        self._banned: dict[str, None] = {}
        # What was done in this session, and what of it came last.
        self._set: dict[tuple[str, bool], FileMark] = {}

    @property
    def pinned(self) -> tuple[str, ...]:
        """Paths relative to the root, in the order in which they were pinned."""
        return tuple(path for path in self._pinned if path not in self._banned)

    @property
    def banned_files(self) -> tuple[str, ...]:
        """Paths relative to the root that were banned for this session."""
        return tuple(self._banned)

    @property
    def banned(self) -> tuple[str, ...]:
        """Patterns of .gitignore."""
        escaped = ("/" + _SPECIAL.sub(r"\\\1", path) for path in self._banned)
        return (*self._patterns, *escaped)

    def set(self, path: str, mark: FileMark) -> None:
        """Mark a file, or take a mark off it.

        Args:
            path: relative to the root, with slashes.
            mark: what to do.
        """
        self._set[path, mark in ("pin", "unpin")] = mark
        match mark:
            case "pin":
                self._pinned[path] = None
            case "unpin":
                self._pinned.pop(path, None)
            case "ban":
                self._banned[path] = None
            case "unban":
                self._banned.pop(path, None)

    def carry_over(self, others: Marks) -> None:
        """Take up what was done in this session before the settings changed."""
        for (path, _), mark in others._set.items():
            self.set(path, mark)
