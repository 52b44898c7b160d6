"""A private copy of a project, in which the file that is typed again has no future.

The final text of a file must not be found in the workspace while the file is typed: whoever is
asked may index the folder.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from benchmarks.replay.types import Project
from lsp_server.errors import StoreError

# Of no use to whoever completes code, and large.
_LEFT_OUT = frozenset(
    {".git", ".hg", ".svn", ".venv", ".tox", "node_modules", "__pycache__", ".mypy_cache"}
)

# The projects of the public corpus, and one more.
_N_KEPT = 8


class Workspace(Project, frozen=True, kw_only=True):
    """A project whose ``root`` is a private copy that may be written to."""

    def write(self, path: str, text: str) -> None:
        """Write a file, with its EOLs as they are; whatever is linked to it stays as it is."""
        target = self.root / path
        handle, name = tempfile.mkstemp(dir=self.root)
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        os.replace(name, target)

    @contextlib.contextmanager
    def truncated(self, path: str, text: str) -> Iterator[None]:
        """While the context lasts, a file holds ``text`` instead of its final text."""
        final = read_text(self.root / path)
        self.write(path, text)
        try:
            yield
        finally:
            self.write(path, final)


# Makes a project's files; they are gone with the context.
Opener = Callable[[Project], contextlib.AbstractContextManager[Project]]


class Workspaces:
    """Private copies of projects, each made when it is needed; the last few are kept.

    Args:
        folder: where copies are made; best on the file system of the projects, so that files
            can be linked instead of copied.
        opener: makes a private copy by other means, e.g. of a commit whose files are not there.
    """

    def __init__(self, folder: Path, opener: Opener | None = None) -> None:
        self._opener = opener or (lambda project: _copied(project, folder))
        self._made: OrderedDict[str, tuple[Workspace, contextlib.ExitStack]] = OrderedDict()

    def __enter__(self) -> Workspaces:
        return self

    def __exit__(self, *_: object) -> None:
        while self._made:
            self._remove_oldest()

    def of(self, project: Project) -> Workspace:
        """The copy of a project.

        Raises:
            StoreError: it cannot be made.
        """
        if project.name not in self._made:
            while len(self._made) >= _N_KEPT:
                self._remove_oldest()
            stack = contextlib.ExitStack()
            opened = stack.enter_context(self._opener(project))
            self._made[project.name] = Workspace(**msgspec.structs.asdict(opened)), stack
        self._made.move_to_end(project.name)
        return self._made[project.name][0]

    def _remove_oldest(self) -> None:
        _, (_, stack) = self._made.popitem(last=False)
        stack.close()


@contextlib.contextmanager
def _copied(project: Project, folder: Path) -> Iterator[Project]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as base:
            # The last name of the folder is what a server takes for the project's name.
            root = Path(base) / project.root.name
            shutil.copytree(project.root, root, ignore=_ignored, copy_function=_link, symlinks=True)
            yield msgspec.structs.replace(project, root=root)
    except (OSError, shutil.Error) as error:
        raise StoreError(
            f"The project {project.name} cannot be copied: {error}.",
            code="folder_unwritable",
            hint="Check the free space, or choose another place with MIDFILL_CACHE_DIR.",
        ) from error


def read_text(path: Path) -> str:
    """A source file with its EOLs as they are.

    Raises:
        StoreError: it cannot be read as UTF-8.
    """
    try:
        return path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(
            f"The file {path} cannot be read: {error}.",
            code="corpus_unreadable",
            hint="Build the corpus again.",
        ) from error


def _ignored(_folder: str, names: list[str]) -> set[str]:
    return {name for name in names if name in _LEFT_OUT}


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)
