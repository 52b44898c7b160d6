"""Definitions as the nodes of a Python syntax tree say them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import tree_sitter

from context.outline import Definition, line_end, line_start, moved

_BLOCKS = frozenset({"if_statement", "try_statement", "else_clause", "with_statement", "block",
                     "except_clause", "finally_clause", "elif_clause", "ERROR"})  # fmt: skip
_MAX_DOCSTRING_CHARS = 100
# Blocks nested deeper than this hold no definition worth showing.
_MAX_DEPTH = 40

# The definitions in nodes, by the nodes' ranges.
Known = Mapping[tuple[int, int], tuple[Definition, ...]]


def definitions(root: tree_sitter.Node, data: bytes) -> tuple[Definition, ...]:
    """Functions, classes and constants of a file, in order, without what is inside functions.

    Args:
        root: the root node.
        data: the text, as UTF-8.
    """
    return tuple(Reader(data).below(root))


class Earlier(NamedTuple):
    """What was read in the version before, with offsets like the reader's own.

    Args:
        known: by the ranges of nodes.
        first: where the lines begin that were touched since.
        last: where these lines end, now.
        shift: by how much all behind them moved.
    """

    known: Known
    first: int
    last: int
    shift: int

    def of(self, place: tuple[int, int]) -> tuple[Definition, ...] | None:
        """The definitions in a node that was there already; None for others.

        Args:
            place: its range, now.
        """
        begin, end = place
        if end < self.first:
            return self.known.get(place)
        if begin < self.last:
            return None
        found = self.known.get((begin - self.shift, end - self.shift))
        return found and tuple(moved(definition, self.shift) for definition in found)


class Reader:
    """Reads definitions.

    Args:
        data: the text, as UTF-8.
        base: where offsets count from.
        earlier: of what was read before; None to keep nothing of what is read, either.

    Attributes:
        read: what stands in the nodes inside of classes, for the next version.
    """

    def __init__(self, data: bytes, base: int = 0, earlier: Earlier | None = None) -> None:
        self.read: dict[tuple[int, int], tuple[Definition, ...]] = {}
        self._data = data
        self._base = base
        self._earlier = earlier

    def below(self, node: tree_sitter.Node, depth: int = 0) -> Iterator[Definition]:
        """The definitions in the children of a node."""
        for child in node.named_children:
            yield from self.within(child, depth)

    def within(self, node: tree_sitter.Node, depth: int = 0) -> Iterator[Definition]:
        """The definitions that a node is, or has in it."""
        kind = node.type
        if kind in ("function_definition", "class_definition"):
            yield self._definition(node, node, depth)
        elif kind == "expression_statement":
            yield from self._constant(node)
        elif kind == "decorated_definition":
            inner = node.child_by_field_name("definition")
            if inner is not None:
                yield self._definition(node, inner, depth)
        elif kind in _BLOCKS and depth < _MAX_DEPTH:
            yield from self.below(node, depth + 1)

    def _members(self, body: tree_sitter.Node, depth: int) -> Iterator[Definition]:
        """The same as ``below``, but for what is known already."""
        earlier = self._earlier
        if earlier is None:
            yield from self.below(body, depth)
            return
        for child in body.named_children:
            place = child.start_byte - self._base, child.end_byte - self._base
            is_sure = not child.has_error
            found = earlier.of(place) if is_sure else None
            if found is None:
                found = tuple(self.within(child, depth))
            if is_sure:
                self.read[place] = found
            yield from found

    def _constant(self, node: tree_sitter.Node) -> Iterator[Definition]:
        data = self._data
        assignment = next(iter(node.named_children), None)
        if assignment is None or assignment.type != "assignment":
            return
        name = assignment.child_by_field_name("left")
        if name is None or name.type != "identifier":
            return
        start = line_start(data, node.start_byte)
        header_end = min(node.end_byte, line_end(data, node.start_byte + 1) - 1)
        yield Definition(
            kind="constant",
            name=_text(name, data),
            start_byte=start - self._base,
            end_byte=line_end(data, node.end_byte) - self._base,
            header_end=header_end - self._base,
            indent=_indent(data, start),
            docstring="",
        )

    def _definition(
        self, outer: tree_sitter.Node, node: tree_sitter.Node, depth: int
    ) -> Definition:
        data = self._data
        name = node.child_by_field_name("name")
        body = node.child_by_field_name("body")
        start = line_start(data, outer.start_byte)
        is_class = node.type == "class_definition"
        has_members = is_class and body and depth < _MAX_DEPTH
        return Definition(
            kind="class" if is_class else "function",
            name=_text(name, data) if name else "",
            start_byte=start - self._base,
            end_byte=line_end(data, node.end_byte) - self._base,
            header_end=_header_end(node, body, data) - self._base,
            indent=_indent(data, start),
            docstring=_docstring(body, data) if body else "",
            members=tuple(self._members(body, depth + 1)) if body and has_members else (),
        )


def _header_end(node: tree_sitter.Node, body: tree_sitter.Node | None, data: bytes) -> int:
    for child in node.children:
        if child.type == ":":
            return child.end_byte
    # Half-typed: the first line has to do.
    end = data.find(b"\n", node.start_byte)
    limit = body.start_byte if body else node.end_byte
    return min(limit, len(data) if end < 0 else end)


def _indent(data: bytes, start: int) -> str:
    end = start
    while data[end : end + 1] in (b" ", b"\t"):
        end += 1
    return data[start:end].decode()


def _docstring(body: tree_sitter.Node, data: bytes) -> str:
    # The body of half-typed code may have no child at all.
    first = next(iter(body.named_children), None)
    if first is None or first.type != "expression_statement":
        return ""
    string = next(iter(first.named_children), None)
    if string is None or string.type != "string":
        return ""
    text = _text(string, data).lstrip("rRuUbB").strip("\"'").strip()
    line = text.split("\n", 1)[0].strip()
    return "" if '"""' in line or "\\" in line else line[:_MAX_DOCSTRING_CHARS]


def _text(node: tree_sitter.Node, data: bytes) -> str:
    return data[node.start_byte : node.end_byte].decode("utf-8", "replace")
