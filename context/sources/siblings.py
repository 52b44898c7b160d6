"""The test of a file, and the file that a test is about."""

from __future__ import annotations

from collections.abc import Iterator

from context.sources.definitions import snippet_of
from context.sources.view import View
from context.types import Snippet
from context.workspace.index import WorkspaceIndex

ORIGIN = "sibling"
_MAX_SYMBOLS = 24
_BASE_SCORE = 0.3


def find(view: View, index: WorkspaceIndex) -> list[Snippet]:
    """Definitions of the file on the other side of a test, those near the cursor first.

    Args:
        view: of the cursor.
        index: of the workspace.
    """
    weights = view.weights
    found = []
    for path in _others(view.path, index):
        for symbol in index.files[path].symbols[:256]:
            if not symbol.container and symbol.kind != "constant":
                place = index.top_level(path, symbol.name)
                if place is not None and place.symbol is symbol:
                    score = _BASE_SCORE + weights.get(symbol.name, 0.0)
                    found.append(snippet_of(place, score, weights, index, ORIGIN))
    found.sort(key=lambda snippet: -snippet.score)
    return found[:_MAX_SYMBOLS]


def _others(path: str, index: WorkspaceIndex) -> Iterator[str]:
    """Files whose name says that they belong to this one."""
    folder, _, name = path.rpartition("/")
    stem, dot, suffix = name.rpartition(".")
    if not dot:
        return
    bare = stem.removeprefix("test_").removesuffix("_test").lstrip("_")
    if bare != stem.lstrip("_"):
        wanted = {f"{bare}.{suffix}", f"_{bare}.{suffix}"}
    else:
        wanted = {f"test_{bare}.{suffix}", f"{bare}_test.{suffix}"}
    found = [other for name in wanted for other in index.named(name) if other != path]
    # Of several the one whose folders are most like this one's.
    parts = set(folder.split("/"))
    found.sort(key=lambda other: (-len(parts & set(other.split("/")[:-1])), other))
    yield from found[:1]
