"""How names near the cursor are used in other files: a few lines around a call."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable

from context.blocks import PerBlock
from context.outline import lines_around
from context.sources.view import View
from context.types import Snippet
from context.workspace.index import WorkspaceIndex
from context.workspace.words import STOP_WORDS

ORIGIN = "usage"
# Only names this near are looked up, and few of them: each costs the reading of some files.
_MIN_WEIGHT = 0.5
_MAX_NAMES = 6
_MAX_FILES = 6
_PER_NAME = 2
# A name in more files than this is used in too many ways to learn from one.
_MAX_SPREAD = 40
# Shorter ones say little, and are the end of a thousand other words.
_MIN_NAME_CHARS = 3
_LINES_BEFORE, _LINES_BEHIND = 1, 3
_MAX_LINE_CHARS = 200
_WORD = re.compile(rb"[\w\x80-\xff]")
# Possessive, from the word's first letter on: linear for lines of a million letters, too.
_CALL = re.compile(rb"(?<![\w\x80-\xff])([\w\x80-\xff]++)\(")


def find(view: View, index: WorkspaceIndex) -> list[Snippet]:
    """Calls of the names nearest to the cursor, the rarest names first; none that is shown.

    Args:
        view: of the cursor.
        index: of the workspace.
    """
    ranked = []
    for name, weight in view.weights.items():
        if weight < _MIN_WEIGHT or len(name) < _MIN_NAME_CHARS or name in STOP_WORDS:
            continue
        if index.n_with_word(name) <= _MAX_SPREAD:
            ranked.append((weight * index.rarity(name), weight, name))
    ranked.sort(reverse=True)
    found: dict[tuple[str, int], Snippet] = {}
    for _, weight, name in ranked[:_MAX_NAMES]:
        n_found = 0
        others = (path for path in index.with_word(name, _MAX_FILES) if path != view.path)
        for path in (view.path, *others):
            if n_found >= _PER_NAME:
                break
            snippet = _call(name, path, weight, view, index)
            if snippet is not None:
                n_found += 1
                found.setdefault((path, snippet.start_byte), snippet)
    return list(found.values())


def _call_in(
    data: bytes, name: bytes, shown: Callable[[int, int], bool], start: int = 0, stop: int = -1
) -> tuple[int, int] | None:
    """The first call of a name that is not shown: its place, and the end of its bracket."""
    call = name + b"("
    stop = len(data) if stop < 0 else stop
    start = data.find(call, start, stop)
    while start >= 0:
        end = start + len(call)
        if (
            not _WORD.match(data[max(0, start - 1) : start])
            and not data[max(0, start - 8) : start].rstrip().endswith((b"def", b"class"))
            and not shown(start, end - 1)
        ):
            return start, end
        start = data.find(call, end, stop)
    return None


# What is called in a block. Nearly always none of it is what is looked for.
_CALLED = PerBlock(lambda block: frozenset(_CALL.findall(block)))


def _own_call(view: View, name: bytes) -> tuple[int, int] | None:
    """The same in the open file."""
    for start, block, called in _CALLED.of(view.file):
        if name in called:
            found = _call_in(view.data, name, view.shows, start, start + len(block))
            if found is not None:
                return found
    return None


# At every key the same names are looked for in the same files.
@functools.lru_cache(maxsize=128)
def _first_call(data: bytes, name: bytes) -> tuple[int, int] | None:
    return _call_in(data, name, lambda _start, _end: False)


def _call(name: str, path: str, weight: float, view: View, index: WorkspaceIndex) -> Snippet | None:
    """The first place in a file where a name is called, and not defined or shown."""
    is_own = path == view.path
    data = view.data if is_own else index.read(path)
    if data is None:
        return None
    needle = name.encode()
    found = _own_call(view, needle) if is_own else _first_call(data, needle)
    if found is None:
        return None
    start, end = lines_around(data, *found, n_above=_LINES_BEFORE, n_below=_LINES_BEHIND - 1)
    text = data[start:end].decode("utf-8", "replace").strip("\n")
    if any(len(line) > _MAX_LINE_CHARS for line in text.split("\n")):
        return None
    return Snippet(
        path=path, start_byte=start, end_byte=end, text=text, origin=ORIGIN, score=weight
    )
