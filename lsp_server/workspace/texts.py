"""Which files of a folder tell how things are written at a place in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from context.redact import redact
from context.workspace.scan import Found

# Larger files are tables and generated code, mostly.
MAX_BYTES = 256 * 1024


def nearest(files: Iterable[Found], near: str, max_bytes: int) -> Iterator[str]:
    """Paths of files, those most like a file's neighbours first.

    Those of its own kind come first, and of these the nearest in the tree of folders.

    Args:
        files: of the folder.
        near: path of a file in it.
        max_bytes: of all files together; one that is too large is left out.
    """
    suffix, here = _suffix(near), _folders(near)
    # Of each folder once.
    steps: dict[str, int] = {}

    def rank(file: Found) -> tuple[bool, int, bool]:
        folder = file.path.rpartition("/")[0]
        if folder not in steps:
            steps[folder] = _distance(_folders(file.path), here)
        return _suffix(file.path) != suffix, steps[folder], file.path != near

    for file in sorted(files, key=rank):
        if file.size <= min(MAX_BYTES, max_bytes):
            max_bytes -= file.size
            yield file.path


def readable(data: bytes | None) -> str:
    """A file's text without keys and passwords; "" for none."""
    return redact(data.decode("utf-8", "replace")) if data else ""


def _suffix(path: str) -> str:
    return path.rpartition("/")[2].rpartition(".")[2]


def _folders(path: str) -> list[str]:
    return path.split("/")[:-1]


def _distance(one: Sequence[str], other: Sequence[str]) -> int:
    """Steps from folder to folder."""
    n_shared = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        n_shared += 1
    return len(one) + len(other) - 2 * n_shared
