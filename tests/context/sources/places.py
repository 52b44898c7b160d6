"""Cursors in made-up workspaces."""

from __future__ import annotations

from collections.abc import Mapping

from context.gather import gather
from context.sources.view import View, view_of
from context.syntax import SyntaxTree
from context.types import Budget, FileContext, SourceFile
from context.workspace.index import WorkspaceIndex
from context.workspace.symbols import symbols_of

BUDGET = Budget(n_prefix_tokens=768, n_suffix_tokens=192)
MARK = "‸"


class Place:
    """A cursor in a file of a workspace.

    Args:
        path: of the file.
        marked: its text with a mark at the cursor.
        others: the other files.
    """

    def __init__(self, path: str, marked: str, others: Mapping[str, str]) -> None:
        before, after = marked.split(MARK)
        self.path = path
        self.file = SourceFile(path=path, language="python", data=(before + after).encode())
        self.cursor = len(before.encode())
        tree = SyntaxTree.parse(self.file)
        assert tree is not None
        self.tree = tree
        self.index = index_of({**others, path: before + after})

    @property
    def context(self) -> FileContext:
        """What the file itself gives."""
        return gather(self.file, self.tree, self.cursor, BUDGET)

    @property
    def view(self) -> View:
        """What the sources are given."""
        return view_of(self.file, self.path, self.cursor, self.tree.definitions, self.context)


def index_of(files: Mapping[str, str]) -> WorkspaceIndex:
    """An index over texts."""
    texts = {path: text.encode() for path, text in files.items()}
    index = WorkspaceIndex("shop", texts.get)
    for path, data in texts.items():
        index.put(path, symbols_of(SourceFile(path=path, language="python", data=data)))
    return index
