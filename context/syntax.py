"""Syntax trees that are brought up to date instead of being parsed again.

Everything here speaks in byte offsets: tree-sitter counts only ``\\n`` as the end of a line, so
its rows are not those of an editor.
"""

from __future__ import annotations

import functools

import tree_sitter

from context.blocks import shared
from context.definitions import Definitions
from context.sequences import common_prefix_length
from context.types import SourceFile

# A full parse of this many bytes takes about a millisecond.
_MAX_REPARSE_BYTES = 8 * 1024


class SyntaxTree:
    """The tree of one version of a file; it never changes.

    Args:
        file: the text.
        tree: its tree.
        known_row: a byte offset, and the row that it is in.
        before: definitions of the version before, and the range that changed since, if both are
            known.
    """

    __slots__ = ("_before", "_definitions", "_known_row", "_tree", "file")

    def __init__(
        self,
        file: SourceFile,
        tree: tree_sitter.Tree,
        known_row: tuple[int, int] = (0, 0),
        before: tuple[Definitions, tuple[int, int, int]] | None = None,
    ) -> None:
        self.file = file
        self._tree = tree
        self._known_row = known_row
        self._before = before
        self._definitions: Definitions | None = None

    @property
    def root(self) -> tree_sitter.Node:
        """The root node."""
        return self._tree.root_node

    @property
    def data(self) -> bytes:
        """The text, as UTF-8."""
        return self.file.data

    @property
    def definitions(self) -> Definitions:
        """What the file defines."""
        if self._definitions is None:
            known, change = self._before or (Definitions(), (0, 0, len(self.data)))
            self._definitions = known.updated(self.root, self.data, *change)
            self._before = None
        return self._definitions

    @staticmethod
    def parse(file: SourceFile) -> SyntaxTree | None:
        """Parse a file; None when there is no grammar for its language."""
        parser = _parser(file.language)
        return None if parser is None else SyntaxTree(file, parser.parse(file.data))

    @staticmethod
    def update(old: SyntaxTree, file: SourceFile) -> SyntaxTree | None:
        """The tree of ``file``, reusing the parts of an older version's tree.

        Args:
            old: tree of an older version of the same document.
            file: the new version.
        """
        if old.file.language != file.language:
            return SyntaxTree.parse(file)
        parser = _parser(file.language)
        if parser is None:
            return None
        change = start, old_end, new_end = _changed(old.file, file)
        if start == old_end == new_end:
            same = SyntaxTree(file, old._tree, old._known_row, old._before)
            same._definitions = old._definitions
            return same
        row = old._row(start)
        # A copy: the old version keeps its own tree.
        edited = old._tree.copy()
        edited.edit(
            start_byte=start,
            old_end_byte=old_end,
            new_end_byte=new_end,
            start_point=(row, _column(old.data, start)),
            old_end_point=_end_point(row, old.data, start, old_end),
            new_end_point=_end_point(row, file.data, start, new_end),
        )
        tree = parser.parse(file.data, edited)
        if tree.root_node.has_error and len(file.data) <= _MAX_REPARSE_BYTES:
            # Around a syntax error the parts that are kept may lead tree-sitter's recovery to
            # another tree than a full parse (seen once in some 2,000 random edits; of 1,565 keys
            # typed in files of 8 to 60 KB none had other definitions).
            tree = parser.parse(file.data)
        before = (old._definitions, change) if old._definitions else None
        return SyntaxTree(file, tree, (start, row), before)

    def _row(self, offset: int) -> int:
        """The row of an offset as tree-sitter counts them: only ``\\n`` ends a row."""
        known, row = self._known_row
        return row + self.data.count(b"\n", known, offset) - self.data.count(b"\n", offset, known)


def _changed(old: SourceFile, new: SourceFile) -> tuple[int, int, int]:
    """The one range that differs; what both share as blocks is not looked at."""
    n_head, n_tail = shared(old, new)
    old_end, new_end = len(old.data) - n_tail, len(new.data) - n_tail
    found = changed_range(old.data[n_head:old_end], new.data[n_head:new_end])
    start, old_end, new_end = (n_head + offset for offset in found)
    return start, old_end, new_end


def changed_range(old: bytes, new: bytes) -> tuple[int, int, int]:
    """The one range that differs between two texts.

    Returns:
        Its start, its end in ``old``, and its end in ``new``.
    """
    start = common_prefix_length(old, new)
    limit = min(len(old), len(new)) - start
    n_tail = _common_suffix(old, new, limit)
    return start, len(old) - n_tail, len(new) - n_tail


def _common_suffix(a: bytes, b: bytes, limit: int) -> int:
    low, high = 0, limit
    if high == 0 or a[len(a) - high :] == b[len(b) - high :]:
        return high
    while high - low > 1:
        middle = (low + high) // 2
        if a[len(a) - middle : len(a) - low] == b[len(b) - middle : len(b) - low]:
            low = middle
        else:
            high = middle
    return low


def _column(data: bytes, offset: int) -> int:
    """The column in bytes."""
    return offset - (data.rfind(b"\n", 0, offset) + 1)


def _end_point(row: int, data: bytes, start: int, end: int) -> tuple[int, int]:
    """Row and column of the end of a range that begins in a row."""
    return row + data.count(b"\n", start, end), _column(data, end)


@functools.cache
def _parser(language: str) -> tree_sitter.Parser | None:
    if language != "python":
        return None
    import tree_sitter_python

    return tree_sitter.Parser(tree_sitter.Language(tree_sitter_python.language()))
