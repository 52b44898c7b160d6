"""Inside a class: what its base classes have, and how they do what is written here."""

from __future__ import annotations

from collections.abc import Iterator

from context.outline import Definition
from context.sources.definitions import snippet_of
from context.sources.view import View
from context.types import Snippet
from context.workspace.index import Place, WorkspaceIndex
from context.workspace.symbols import Symbol, bases_in

ORIGIN = "base_class"
_MAX_DEPTH = 3
_MAX_BODY_BYTES = 3000
# Of the base's own method of the same name, and of its outline.
_METHOD_SCORE, _OUTLINE_SCORE = 1.0, 0.6


def find(view: View, index: WorkspaceIndex, data: bytes) -> list[Snippet]:
    """Base classes of the class around the cursor, the nearest first.

    Args:
        view: of the cursor.
        index: of the workspace.
        data: the file's text as UTF-8.
    """
    classes = [d for d in view.enclosing if d.kind == "class"]
    if not classes:
        return []
    weights = view.weights
    method = _method_at(view, classes[-1])
    found = []
    for depth, place in _bases(view, index, classes[-1], data):
        if place.path != view.path:
            if method and (same := _member(place, method, index)) is not None:
                found.append(_whole(same, index, _METHOD_SCORE / depth))
            found.append(snippet_of(place, _OUTLINE_SCORE / depth, weights, index, ORIGIN))
    return [snippet for snippet in found if snippet.text]


def _bases(
    view: View, index: WorkspaceIndex, around: Definition, data: bytes
) -> Iterator[tuple[int, Place]]:
    """Base classes with their distance, breadth first; each one once."""
    header = data[around.start_byte : around.header_end].decode("utf-8", "replace")
    seen: set[tuple[str, int]] = set()
    level = [*_resolved(bases_in(header), view.path, view, index)]
    for depth in range(1, _MAX_DEPTH + 1):
        above: list[Place] = []
        for place in level:
            key = place.path, place.symbol.start_byte
            if key in seen or place.symbol.kind != "class":
                continue
            seen.add(key)
            yield depth, place
            above += _resolved(place.symbol.bases, place.path, view, index)
        level = above


def _resolved(
    names: tuple[str, ...], path: str, view: View, index: WorkspaceIndex
) -> Iterator[Place]:
    file = index.files.get(path)
    imports = view.imports if path == view.path else file.imports if file else ()
    for name in names:
        item = next((i for i in imports if f"{name}.".startswith(f"{i.local}.")), None)
        if item is None:
            place = index.top_level(path, name)
        else:
            target = index.imported(item, path)
            if isinstance(target, str):
                target = index.top_level(target, name[len(item.local) + 1 :])
            place = target
        if place is not None:
            yield place


def _method_at(view: View, around: Definition) -> str:
    """Name of the method of a class that the cursor is in; "" outside of any."""
    inner = view.enclosing[-1]
    return inner.name if inner.kind == "function" and inner in around.members else ""


def _member(place: Place, name: str, index: WorkspaceIndex) -> Place | None:
    return next((m for m in index.members(place) if m.symbol.name == name), None)


def _whole(place: Place, index: WorkspaceIndex, score: float) -> Snippet:
    """A method with its body, below the header of its class."""
    symbol: Symbol = place.symbol
    data = index.read(place.path) or b""
    end = min(symbol.end_byte, symbol.start_byte + _MAX_BODY_BYTES)
    body = data[symbol.start_byte : end].decode("utf-8", "replace").rstrip()
    owner = symbol.container.rpartition(".")[2]
    return Snippet(
        path=place.path,
        start_byte=symbol.start_byte,
        end_byte=end,
        text=f"class {owner}:\n{body}" if body else "",
        origin=ORIGIN,
        score=score,
    )
