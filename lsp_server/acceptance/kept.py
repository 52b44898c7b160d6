"""Where accepted text stands in a document, and how much of it is left, edit by edit."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from lsp_server.positions import end_of, split_lines
from lsp_server.types import Edit, Position

# Larger changes are compared line by line: a formatter that sends the whole text again has changed
# little of it.
_MIN_COMPARED_CHARS = 200
_MAX_COMPARED_LINES = 4000


class _Piece(NamedTuple):
    """Accepted characters in one line: columns from ``start`` up to ``end``, EOL included."""

    line: int
    start: int
    end: int


class Kept:
    """The accepted texts of one document; lines and columns count code points from 0."""

    def __init__(self) -> None:
        self._pieces: dict[str, list[_Piece]] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._pieces

    def add(self, name: str, at: Position, text: str) -> None:
        """A text was accepted; it stands in the document already.

        Args:
            name: of the accepted text; further parts of it may be added under the same name.
            at: its first character.
            text: what was accepted, with the document's EOLs.
        """
        pieces = self._pieces.setdefault(name, [])
        line, column = at
        for part in split_lines(text):
            if part:
                pieces.append(_Piece(line, column, column + len(part)))
            line, column = line + 1, 0

    def edit(self, edit: Edit) -> None:
        """The document was edited: what is replaced is gone, what stands behind it moves."""
        if not self._pieces:
            return
        for step in smallest(edit):
            for name, pieces in self._pieces.items():
                self._pieces[name] = [*_moved(pieces, step)]

    def n_kept(self, name: str) -> int:
        """Characters of an accepted text that still stand."""
        return sum(piece.end - piece.start for piece in self._pieces.get(name, ()))

    def forget(self, name: str) -> None:
        """Nobody asks about it any more."""
        self._pieces.pop(name, None)


def n_new_chars(edit: Edit) -> int:
    """Characters that an edit brings: of a text that is sent as a whole only what is new in it."""
    return sum(len(each.text) for each in smallest(_trimmed(edit)))


def _moved(pieces: Sequence[_Piece], edit: Edit) -> Iterator[_Piece]:
    start, end = edit.start, edit.end
    after = end_of(start, edit.text)
    for piece in pieces:
        if piece.line < start.line:
            yield piece
        elif piece.line > end.line:
            yield piece._replace(line=piece.line + after.line - end.line)
        else:
            if piece.line == start.line and piece.start < start.column:
                yield piece._replace(end=min(piece.end, start.column))
            if piece.line == end.line and piece.end > end.column:
                shift = after.column - end.column
                left = max(piece.start, end.column)
                yield _Piece(after.line, left + shift, piece.end + shift)


def smallest(edit: Edit) -> Iterator[Edit]:
    """Edits that come to the same and leave alone what both texts have, the last place first."""
    removed, text = edit.removed, edit.text
    if min(len(removed), len(text)) < _MIN_COMPARED_CHARS:
        yield _trimmed(edit)
        return
    old, new = split_lines(removed), split_lines(text)
    if max(len(old), len(new)) > _MAX_COMPARED_LINES:
        yield _trimmed(edit)
        return
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    for kind, a, b, c, d in reversed(matcher.get_opcodes()):
        if kind != "equal":
            before, gone = "".join(old[:a]), "".join(old[a:b])
            start = end_of(edit.start, before)
            yield _trimmed(Edit(start, end_of(start, gone), "".join(new[c:d]), gone))


def _trimmed(edit: Edit) -> Edit:
    """Without what both texts begin or end with."""
    removed, text = edit.removed, edit.text
    n_least = min(len(removed), len(text))
    n_before = next((n for n in range(n_least) if removed[n] != text[n]), n_least)
    # Half of a \r\n is no place.
    if n_before and removed[n_before - 1] == "\r":
        n_before -= 1
    n_left = n_least - n_before
    n_behind = next((n for n in range(n_left) if removed[-1 - n] != text[-1 - n]), n_left)
    if n_behind and removed[len(removed) - n_behind] == "\n":
        n_behind -= 1
    start = end_of(edit.start, removed[:n_before])
    gone = removed[n_before : len(removed) - n_behind]
    return Edit(start, end_of(start, gone), text[n_before : len(text) - n_behind], gone)
