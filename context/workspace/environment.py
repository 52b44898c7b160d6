"""Installed packages: of their modules only those that an import names are read."""

from __future__ import annotations

from collections.abc import Callable

from context.types import SourceFile
from context.workspace.imports import Import, relative_stem
from context.workspace.index import WorkspaceIndex
from context.workspace.symbols import FileSymbols, symbols_of

# Stubs say the same in less, and of compiled modules there is nothing else.
_SUFFIXES = (".pyi", "/__init__.pyi", ".py", "/__init__.py")
_MAX_FILES = 512
_MAX_ABSENT = 16_384


class EnvironmentIndex(WorkspaceIndex):
    """The modules that were asked about; paths are relative to the folder of the packages.

    A module that is asked about for the first time is not there yet, but ``missing``.

    Args:
        read: gives a file's text as UTF-8 with ``\\n`` as its only EOL, None if there is none.

    Attributes:
        missing: modules to read, as paths without their suffix, see ``load``.
    """

    def __init__(self, read: Callable[[str], bytes | None]) -> None:
        super().__init__("site-packages", read)
        self.missing: dict[str, None] = {}
        self._absent: set[str] = set()

    def module(self, item: Import, path: str) -> str | None:
        """See WorkspaceIndex; what is not known is missing from then on."""
        found = super().module(item, path)
        if found is None:
            stem = relative_stem(item, path) if item.level else item.module.replace(".", "/")
            if stem and stem not in self._absent:
                self.missing[stem] = None
        return found

    def load(self, stem: str) -> tuple[str, FileSymbols] | None:
        """Read a module; may be called on another thread.

        Args:
            stem: of its path.

        Returns:
            Its path and what is in it; None if no file has that name.
        """
        for suffix in _SUFFIXES:
            path = stem + suffix
            data = self.read(path)
            if data is not None:
                return path, symbols_of(SourceFile(path=path, language="python", data=data))
        return None

    def keep(self, stem: str, found: tuple[str, FileSymbols] | None) -> None:
        """Take up what ``load`` gave."""
        self.missing.pop(stem, None)
        if found is None:
            if len(self._absent) >= _MAX_ABSENT:
                self._absent.clear()
            self._absent.add(stem)
            return
        self.put(*found)
        while len(self.files) > _MAX_FILES:
            self.drop(next(iter(self.files)))
