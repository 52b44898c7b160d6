"""Which source files a folder holds."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from context.source import language_of
from context.workspace.ignore import Rules, is_foreign_folder, is_secret

# Languages of which nothing can be shown that helps to write code.
_NO_SOURCE = frozenset({"plaintext", "markdown", "json", "html", "css", "toml", "yaml", "sql"})
MAX_FILE_BYTES = 1024 * 1024
MAX_FILES = 20_000
# Folders and files looked at, whatever they are: a workspace of a whole disk must come to an end.
_MAX_ENTRIES = 400_000
_MAX_DEPTH = 48
_MAX_IGNORE_BYTES = 256 * 1024


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A source file.

    Args:
        path: relative to the root, with slashes.
        size: in bytes.
        mtime_ns: when it was changed.
    """

    path: str
    size: int
    mtime_ns: int


class Scan(msgspec.Struct, frozen=True, kw_only=True):
    """What was found.

    Args:
        files: those nearest to the root come first.
        left_out: why some files are missing; "" when none are.
    """

    files: tuple[Found, ...]
    left_out: str = ""


def is_source(name: str) -> bool:
    """Whether a file may hold code, by its name."""
    return language_of(name) not in _NO_SOURCE


def scan(
    root: Path,
    *,
    banned: Sequence[str] = (),
    max_files: int = MAX_FILES,
) -> Scan:
    """Go through a folder, breadth first; links to folders are not followed.

    Args:
        root: the folder.
        banned: patterns as in ``.gitignore`` for what is left out.
        max_files: at most so many are found.
    """
    rules = Rules(banned)
    found: list[Found] = []
    folders = [("", 0)]
    n_entries = 0
    for folder, depth in folders:  # grows on the way
        _read_rules(root, folder, rules)
        for entry in _entries(root / folder):
            n_entries += 1
            if n_entries > _MAX_ENTRIES:
                return Scan(files=tuple(found), left_out=f"more than {_MAX_ENTRIES:,} entries")
            path = f"{folder}/{entry.name}" if folder else entry.name
            if entry.is_dir(follow_symlinks=False):
                if depth < _MAX_DEPTH and not (
                    is_foreign_folder(entry.name)
                    or is_secret(f"{path}/_")
                    or rules.ignores(path, is_folder=True)
                    or _is_environment(entry.path)
                ):
                    folders.append((path, depth + 1))
            elif is_source(entry.name) and not is_secret(path):
                if rules.ignores(path, is_folder=False):
                    continue
                if (file := _file(entry, path)) is not None:
                    found.append(file)
                    if len(found) >= max_files:
                        return Scan(files=tuple(found), left_out=f"more than {max_files:,} files")
    return Scan(files=tuple(found))


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """In the order of their names; none where the folder cannot be read."""
    try:
        with os.scandir(folder) as entries:
            # Names that are no text cannot be told to an editor either.
            return sorted((e for e in entries if _is_text(e.name)), key=lambda e: e.name)
    except OSError:
        return []


def _is_text(name: str) -> bool:
    return not any("\ud800" <= sign <= "\udfff" for sign in name)


def _is_environment(folder: str) -> bool:
    return os.path.exists(os.path.join(folder, "pyvenv.cfg"))


def _file(entry: os.DirEntry[str], path: str) -> Found | None:
    """A regular file of a sensible size; a link counts as what it leads to."""
    try:
        if not entry.is_file():
            return None
        if entry.is_symlink() and is_secret(os.path.realpath(entry.path)):
            return None
        info = entry.stat()
    except OSError:
        return None
    if info.st_size > MAX_FILE_BYTES:
        return None
    return Found(path=path, size=info.st_size, mtime_ns=info.st_mtime_ns)


def _read_rules(root: Path, folder: str, rules: Rules) -> None:
    path = root / folder / ".gitignore"
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            text = file.read(_MAX_IGNORE_BYTES)
    except OSError:
        return
    rules.add(folder, text.splitlines())


def _folders_above(path: str) -> Iterator[str]:
    """The folders above a file whose rules hold for it, from the root downwards."""
    yield ""
    folder = ""
    for part in path.split("/")[:-1]:
        folder = f"{folder}/{part}" if folder else part
        yield folder


def counts(root: Path, path: str, *, banned: Sequence[str] = ()) -> bool:
    """Whether a single file would be found by a scan; for files that come later.

    Args:
        root: of the workspace.
        path: relative to it, with slashes.
        banned: see ``scan``.
    """
    if not is_source(path.rpartition("/")[2]) or is_secret(path):
        return False
    rules = Rules(banned)
    for folder in _folders_above(path):
        _read_rules(root, folder, rules)
        if folder and (
            is_foreign_folder(folder.rpartition("/")[2]) or rules.ignores(folder, is_folder=True)
        ):
            return False
    return not rules.ignores(path, is_folder=False)
