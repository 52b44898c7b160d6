"""Syntax trees that are brought up to date instead of being parsed again.

Everything here speaks in byte offsets: tree-sitter counts only ``\\n`` as the end of a line, so
its rows are not those of an editor.
"""

from __future__ import annotations

import functools

import tree_sitter

from context.outline import Definition, Outline
from context.sequences import common_prefix_length
from context.types import SourceFile

# A full parse of this many bytes takes about 20 ms.
_MAX_REPARSE_BYTES = 128 * 1024


class SyntaxTree:
    """The tree of one version of a file; it never changes.

    Args:
        file: the text.
        tree: its tree.
        before: outline of the version before, and the range that changed since, if both are known.
    """

    __slots__ = ("_before", "_outline", "_top", "_tree", "file")

    def __init__(
        self,
        file: SourceFile,
        tree: tree_sitter.Tree,
        before: tuple[Outline, tuple[int, int, int]] | None = None,
    ) -> None:
        self.file = file
        self._tree = tree
        # The outline of the version before, and what changed since.
        self._before = before
        self._outline: Outline | None = None
        self._top: list[tree_sitter.Node] | None = None

    @property
    def root(self) -> tree_sitter.Node:
        """The root node."""
        return self._tree.root_node

    @property
    def top(self) -> list[tree_sitter.Node]:
        """The named nodes below the root, in order; not to be changed."""
        if self._top is None:
            self._top = self.root.named_children
        return self._top

    @property
    def data(self) -> bytes:
        """The text, as UTF-8."""
        return self.file.data

    @property
    def definitions(self) -> list[Definition]:
        """Definitions and members of classes, in file order; not to be changed."""
        if self._outline is None:
            if self._before is None:
                self._outline = Outline.read(self.top, self.data)
            else:
                outline, change = self._before
                self._outline = outline.updated(self.top, self.data, *change)
                self._before = None
        return self._outline.flat

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
        if old.data == file.data:
            same = SyntaxTree(file, old._tree, old._before)
            same._outline = old._outline
            return same
        parser = _parser(file.language)
        if parser is None:
            return None
        start, old_end, new_end = changed_range(old.data, file.data)
        # A copy: the old version keeps its own tree.
        edited = old._tree.copy()
        edited.edit(
            start_byte=start,
            old_end_byte=old_end,
            new_end_byte=new_end,
            start_point=_point(old.data, start),
            old_end_point=_point(old.data, old_end),
            new_end_point=_point(file.data, new_end),
        )
        tree = parser.parse(file.data, edited)
        if tree.root_node.has_error and len(file.data) <= _MAX_REPARSE_BYTES:
            # Around a syntax error the parts that are kept may lead tree-sitter's recovery to
            # another tree than a full parse (seen once in some 2,000 random edits).
            tree = parser.parse(file.data)
        change = (start, old_end, new_end)
        return SyntaxTree(file, tree, (old._outline, change) if old._outline else None)


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


def _point(data: bytes, offset: int) -> tuple[int, int]:
    """Row and byte column as tree-sitter counts them: only ``\\n`` ends a row."""
    return data.count(b"\n", 0, offset), offset - (data.rfind(b"\n", 0, offset) + 1)


@functools.cache
def _parser(language: str) -> tree_sitter.Parser | None:
    if language != "python":
        return None
    import tree_sitter_python

    return tree_sitter.Parser(tree_sitter.Language(tree_sitter_python.language()))
