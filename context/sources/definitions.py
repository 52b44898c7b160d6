"""Names near the cursor → what they are defined as in other files, signatures first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from context.outline import signature
from context.source import line_comment
from context.sources.view import View
from context.types import Snippet
from context.workspace.imports import Import
from context.workspace.index import Place, WorkspaceIndex
from context.workspace.words import STOP_WORDS

ORIGIN, FROM_PACKAGE = "definition", "package"
# Names that so many files define mean nothing in particular.
_MAX_PLACES = 3
# What is not imported may be another thing of the same name.
_BY_NAME_WEIGHT = 0.5
# Imported names that stand nowhere near may still be wanted next.
_IMPORTED_WEIGHT = 0.05
_MAX_IDLE = 32
_MAX_MEMBERS = 24
_MAX_CLASS_CHARS = 1600
_MAX_RESULTS = 40


def find(
    view: View, index: WorkspaceIndex, packages: WorkspaceIndex | None = None
) -> list[Snippet]:
    """Definitions of imported names and attributes near the cursor, likeliest first.

    Args:
        view: of the cursor.
        index: of the workspace.
        packages: of what is installed; asked about imports that the workspace does not have.
    """
    weights = view.weights
    found: dict[tuple[str, int], _Found] = {}

    def add(place: Place, weight: float, index: WorkspaceIndex) -> None:
        key = place.path, place.symbol.start_byte
        if place.path != view.path and (key not in found or weight > found[key].weight):
            found[key] = _Found(weight, place, index)

    bound = {item.local: item for item in view.imports}
    for item in _worth_it(bound, weights):
        target, source = index.imported(item, view.path), index
        # What the workspace has hides what is installed.
        is_foreign = not item.level and target is None and index.module(item, view.path) is None
        if packages is not None and is_foreign:
            target, source = packages.imported(item, ""), packages
        for place, weight in _used(item, target, view, source, weights):
            add(place, weight, source)
    for name, weight in weights.items():
        if name not in bound:
            for place in _by_name(name, view, index):
                add(place, weight * _BY_NAME_WEIGHT, index)
    ordered = sorted(found.values(), key=lambda each: -each.weight)[:_MAX_RESULTS]
    snippets = [
        snippet_of(
            each.place,
            each.weight,
            weights,
            each.among,
            ORIGIN if each.among is index else FROM_PACKAGE,
        )
        for each in ordered
    ]
    snippets += _own(view, weights)
    return sorted(snippets, key=lambda snippet: -snippet.score)


def _worth_it(bound: dict[str, Import], weights: Mapping[str, float]) -> list[Import]:
    """Imports of names near the cursor, and some of the others, those that came last first."""
    used: list[Import] = []
    idle: list[Import] = []
    for item in bound.values():
        (used if item.local.partition(".")[0] in weights else idle).append(item)
    return used + idle[: -_MAX_IDLE - 1 : -1]


class _Found(NamedTuple):
    weight: float
    place: Place
    among: WorkspaceIndex


def _own(view: View, weights: Mapping[str, float]) -> Iterator[Snippet]:
    """Definitions in the open file that are not shown."""
    for definition, owner in view.definitions.named(weights):
        if view.shows(definition.start_byte, definition.header_end):
            continue
        text = signature(definition, view.data).rstrip("\n")
        yield Snippet(
            path=view.path,
            start_byte=definition.start_byte,
            end_byte=definition.end_byte,
            text=f"class {owner}:\n{text}" if owner and definition.indent else text,
            origin=ORIGIN,
            score=weights[definition.name],
        )


def _used(
    item: Import,
    target: Place | str | None,
    view: View,
    index: WorkspaceIndex,
    weights: Mapping[str, float],
) -> Iterator[tuple[Place, float]]:
    """What an import brings in, with its weight here; of a module what is used of it."""
    if isinstance(target, Place):
        yield target, weights.get(item.local, _IMPORTED_WEIGHT)
    elif target is not None and item.name != "*":
        local = tuple(item.local.split("."))
        for chain in view.chains:
            if chain.parts[: len(local)] == local and len(chain.parts) > len(local):
                place = index.exported(target, chain.parts[len(local)])
                if place is not None:
                    yield place, chain.weight


def _by_name(name: str, view: View, index: WorkspaceIndex) -> list[Place]:
    if not 0 < index.n_defined(name) <= _MAX_PLACES or name in STOP_WORDS or len(name) < 3:
        return []
    places = [place for place in index.defined(name) if place.path != view.path]
    return places if len(places) <= _MAX_PLACES else []


def snippet_of(
    place: Place,
    score: float,
    near: Mapping[str, float],
    index: WorkspaceIndex,
    origin: str = ORIGIN,
) -> Snippet:
    """A definition as it is shown: its signature; of a class those of its members too.

    Args:
        place: what is shown.
        score: of the snippet.
        near: names near the cursor; members of these names come first where not all fit.
        index: of the workspace.
        origin: of the snippet.
    """
    symbol = place.symbol
    text = symbol.signature
    if symbol.kind == "class":
        text = _class_text(place, near, index)
    elif symbol.container:
        # A member says by its class what it belongs to.
        owner = symbol.container.rpartition(".")[2]
        language = index.files[place.path].language
        header = f"class {owner}:" if language == "python" else f"{line_comment(language)} {owner}"
        text = f"{header}\n{text}"
    return Snippet(
        path=place.path,
        start_byte=symbol.start_byte,
        end_byte=symbol.end_byte,
        text=text,
        origin=origin,
        score=score,
    )


def _class_text(place: Place, near: Mapping[str, float], index: WorkspaceIndex) -> str:
    members = [*index.members(place)]

    def rank(number: int) -> tuple[float, int]:
        name = members[number].symbol.name
        wanted = near.get(name, 0.0) + (0.5 if name == "__init__" else 0.0)
        return (-wanted + (0.2 if name.startswith("_") and name != "__init__" else 0.0), number)

    n_left = _MAX_CLASS_CHARS - len(place.symbol.signature)
    chosen = []
    for number in sorted(range(len(members)), key=rank)[:_MAX_MEMBERS]:
        n_left -= len(members[number].symbol.signature) + 1
        if n_left < 0:
            break
        chosen.append(number)
    lines = [place.symbol.signature, *(members[n].symbol.signature for n in sorted(chosen))]
    return "\n".join(lines)
