"""Definitions of a file, and what they look like without their bodies."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

import msgspec
import tree_sitter

_BLOCKS = frozenset({"if_statement", "try_statement", "else_clause", "with_statement", "block",
                     "except_clause", "finally_clause", "elif_clause", "ERROR"})  # fmt: skip
_MAX_DOCSTRING_CHARS = 100
_MAX_CONSTANT_CHARS = 80
# Blocks nested deeper than this hold no definition worth showing.
_MAX_DEPTH = 40


# ``self.name = …`` or ``self.name: Type = …`` at the beginning of a line.
_ATTRIBUTE = re.compile(r"^[ \t]+self\.(\w+)(?:[ ]*:[^=\n]+)?[ ]*=(?!=)[^\n]*", re.MULTILINE)


_Range = tuple[int, int]


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """A function, a class, or a name assigned at the top of a file or class.

    Args:
        kind: ``function``, ``class`` or ``constant``.
        name: its own name.
        start_byte: first byte of its first line (decorators and indent included).
        end_byte: byte after its last line's EOL.
        header_end: byte after the colon of its header; of a constant, after its first line.
        indent: the white space before it.
        docstring: first line of its docstring, without quotes.
        members: definitions inside a class (not inside a function).
    """

    kind: str
    name: str
    start_byte: int
    end_byte: int
    header_end: int
    indent: str
    docstring: str
    members: tuple[Definition, ...] = ()


def definitions(root: tree_sitter.Node, data: bytes) -> tuple[Definition, ...]:
    """Functions, classes and constants of a file, in order, without what is inside functions.

    Args:
        root: the root node.
        data: the text, as UTF-8.
    """
    return tuple(_walk(root, data))


class Outline:
    """The definitions of a file, kept by the nodes at the top of its tree.

    What stands in a node depends on its text alone, so at the next version of the file only the
    nodes that were touched are looked into, and those with errors, which may be read otherwise.

    Args:
        entries: byte range of each node at the top, with the definitions in it, those of members
            too.
        unsure: ranges of the nodes with errors.
    """

    __slots__ = ("_entries", "_flat", "_unsure")

    def __init__(
        self, entries: dict[_Range, tuple[Definition, ...]], unsure: frozenset[_Range]
    ) -> None:
        self._entries = entries
        self._unsure = unsure
        self._flat: list[Definition] | None = None

    @property
    def flat(self) -> list[Definition]:
        """Definitions and members of classes, in file order; not to be changed."""
        if self._flat is None:
            self._flat = [*chain.from_iterable(self._entries.values())]
        return self._flat

    @staticmethod
    def read(nodes: Sequence[tree_sitter.Node], data: bytes) -> Outline:
        """Of a file that nothing is known of."""
        return Outline({}, frozenset()).updated(nodes, data, 0, 0, len(data))

    def updated(
        self,
        nodes: Sequence[tree_sitter.Node],
        data: bytes,
        start: int,
        old_end: int,
        new_end: int,
    ) -> Outline:
        """Of the next version of the file.

        Args:
            nodes: at the top of its tree.
            data: its text.
            start: of the one range that differs.
            old_end: its end in this version.
            new_end: its end in the next one.
        """
        shift = new_end - old_end
        # Lines that the change touches have to be looked at as a whole.
        first = line_start(data, start)
        last = data.find(b"\n", new_end) + 1 or len(data) + 1
        entries: dict[_Range, tuple[Definition, ...]] = {}
        unsure = set()
        for node in nodes:
            place = begin, end = node.start_byte, node.end_byte
            known = None
            if node.has_error:
                unsure.add(place)
            elif end < first:
                known = self._known(place)
            elif begin >= last:
                known = self._known((begin - shift, end - shift))
                if known and shift:
                    known = tuple(_shifted(definition, shift) for definition in known)
            entries[place] = _of_node(node, data) if known is None else known
        return Outline(entries, frozenset(unsure))

    def _known(self, place: _Range) -> tuple[Definition, ...] | None:
        return None if place in self._unsure else self._entries.get(place)


def _of_node(node: tree_sitter.Node, data: bytes) -> tuple[Definition, ...]:
    return tuple(flatten(_in_child(node, data, 0)))


def _shifted(definition: Definition, shift: int) -> Definition:
    return Definition(
        kind=definition.kind,
        name=definition.name,
        start_byte=definition.start_byte + shift,
        end_byte=definition.end_byte + shift,
        header_end=definition.header_end + shift,
        indent=definition.indent,
        docstring=definition.docstring,
        members=tuple(_shifted(member, shift) for member in definition.members),
    )


def flatten(found: Iterable[Definition]) -> list[Definition]:
    """Definitions and members of classes, in file order."""
    flat: list[Definition] = []
    for definition in found:
        flat.append(definition)
        if definition.members:
            flat.extend(flatten(definition.members))
    return flat


def _walk(node: tree_sitter.Node, data: bytes, depth: int = 0) -> Iterator[Definition]:
    for child in node.named_children:
        yield from _in_child(child, data, depth)


def _in_child(child: tree_sitter.Node, data: bytes, depth: int) -> Iterator[Definition]:
    kind = child.type
    if kind in ("function_definition", "class_definition"):
        yield _definition(child, child, data, depth)
    elif kind == "expression_statement":
        yield from _constant(child, data)
    elif kind == "decorated_definition":
        inner = child.child_by_field_name("definition")
        if inner is not None:
            yield _definition(child, inner, data, depth)
    elif kind in _BLOCKS and depth < _MAX_DEPTH:
        yield from _walk(child, data, depth + 1)


def _constant(node: tree_sitter.Node, data: bytes) -> Iterator[Definition]:
    assignment = next(iter(node.named_children), None)
    if assignment is None or assignment.type != "assignment":
        return
    name = assignment.child_by_field_name("left")
    if name is None or name.type != "identifier":
        return
    start = line_start(data, node.start_byte)
    yield Definition(
        kind="constant",
        name=_text(name, data),
        start_byte=start,
        end_byte=line_end(data, node.end_byte),
        header_end=min(node.end_byte, line_end(data, node.start_byte + 1) - 1),
        indent=_indent(data, start),
        docstring="",
    )


def _definition(
    outer: tree_sitter.Node, node: tree_sitter.Node, data: bytes, depth: int
) -> Definition:
    name = node.child_by_field_name("name")
    body = node.child_by_field_name("body")
    start = line_start(data, outer.start_byte)
    is_class = node.type == "class_definition"
    return Definition(
        kind="class" if is_class else "function",
        name=_text(name, data) if name else "",
        start_byte=start,
        end_byte=line_end(data, node.end_byte),
        header_end=_header_end(node, body, data),
        indent=_indent(data, start),
        docstring=_docstring(body, data) if body else "",
        members=tuple(_walk(body, data, depth + 1))
        if is_class and body and depth < _MAX_DEPTH
        else (),
    )


def signature(definition: Definition, data: bytes, *, with_docstring: bool = True) -> str:
    """The definition with ``...`` for a body; a class without its members.

    A constant of several lines or a long one is shown by its name and annotation.

    Args:
        definition: of which.
        data: the text, as UTF-8.
        with_docstring: whether to show the docstring's first line.
    """
    header = data[definition.start_byte : definition.header_end].decode("utf-8", "replace")
    if definition.kind == "constant":
        return _short(header, data[definition.header_end : definition.end_byte])
    inner = definition.indent + "    "
    docstring = ""
    if with_docstring and definition.docstring:
        docstring = f'{inner}"""{definition.docstring}"""\n'
    if definition.kind == "class":
        return f"{header}\n{docstring}" if docstring or definition.members else f"{header} ...\n"
    return f"{header}\n{docstring}{inner}...\n" if docstring else f"{header} ...\n"


def instance_attributes(definition: Definition, data: bytes) -> str:
    """The header of an ``__init__`` and one short line for each attribute it sets.

    Args:
        definition: the method.
        data: the text, as UTF-8.
    """
    header = data[definition.start_byte : definition.header_end].decode("utf-8", "replace")
    body = data[definition.header_end : definition.end_byte].decode("utf-8", "replace")
    lines: dict[str, str] = {}
    for found in _ATTRIBUTE.finditer(body):
        if found.group(1) not in lines:
            lines[found.group(1)] = _short(found.group(), b"")
    return header + "\n" + "".join(lines.values())


def line_start(data: bytes, offset: int) -> int:
    """First byte of the line that holds a byte."""
    return data.rfind(b"\n", 0, offset) + 1


def line_end(data: bytes, offset: int) -> int:
    """Byte after the EOL of the line that holds a byte."""
    if offset > 0 and data[offset - 1 : offset] == b"\n":
        return offset
    end = data.find(b"\n", offset)
    return len(data) if end < 0 else end + 1


def lines_around(
    data: bytes, start: int, end: int, *, n_above: int, n_below: int
) -> tuple[int, int]:
    """Byte range of the lines that hold a range, and of some above and below.

    Args:
        data: the text, as UTF-8.
        start: first byte of the range.
        end: byte after it.
        n_above: lines above.
        n_below: lines below.
    """
    first, last = line_start(data, start), line_end(data, end)
    for _ in range(n_above):
        first = line_start(data, max(0, first - 1))
    for _ in range(n_below):
        last = line_end(data, min(len(data), last + 1))
    return first, last


def _short(line: str, rest: bytes) -> str:
    """An assignment on one line, its value as ``...`` when it is long or goes on below."""
    if len(line) > _MAX_CONSTANT_CHARS or rest.strip() or line.rstrip().endswith(("(", "[", "{")):
        line = line.partition("=")[0].rstrip() + " = ..."
    return line.rstrip() + "\n"


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
