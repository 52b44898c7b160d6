"""Definitions of a file, and what they look like without their bodies."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import tree_sitter

_BLOCKS = frozenset({"if_statement", "try_statement", "else_clause", "with_statement", "block",
                     "except_clause", "finally_clause", "elif_clause", "ERROR"})  # fmt: skip
_MAX_DOCSTRING_CHARS = 100


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """A function or a class.

    Args:
        kind: ``function`` or ``class``.
        name: its own name.
        start_byte: first byte of its first line (decorators and indent included).
        end_byte: byte after its last line's EOL.
        header_end: byte after the colon of its header.
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
    """The functions and classes of a file, in order; those inside functions are left out.

    Args:
        root: the root node.
        data: the text, as UTF-8.
    """
    return tuple(_walk(root, data))


def _walk(node: tree_sitter.Node, data: bytes) -> Iterator[Definition]:
    for child in node.named_children:
        if child.type in ("function_definition", "class_definition"):
            yield _definition(child, child, data)
        elif child.type == "decorated_definition":
            inner = child.child_by_field_name("definition")
            if inner is not None:
                yield _definition(child, inner, data)
        elif child.type in _BLOCKS:
            yield from _walk(child, data)


def _definition(outer: tree_sitter.Node, node: tree_sitter.Node, data: bytes) -> Definition:
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
        members=tuple(_walk(body, data)) if is_class and body else (),
    )


def signature(definition: Definition, data: bytes, *, with_docstring: bool = True) -> str:
    """The definition with ``...`` for a body; a class without its members.

    Args:
        definition: of which.
        data: the text, as UTF-8.
        with_docstring: whether to show the docstring's first line.
    """
    header = data[definition.start_byte : definition.header_end].decode("utf-8", "replace")
    inner = definition.indent + "    "
    docstring = ""
    if with_docstring and definition.docstring:
        docstring = f'{inner}"""{definition.docstring}"""\n'
    if definition.kind == "class":
        return f"{header}\n{docstring}" if docstring or definition.members else f"{header} ...\n"
    return f"{header}\n{docstring}{inner}...\n" if docstring else f"{header} ...\n"


def line_start(data: bytes, offset: int) -> int:
    """First byte of the line that holds a byte."""
    return data.rfind(b"\n", 0, offset) + 1


def line_end(data: bytes, offset: int) -> int:
    """Byte after the EOL of the line that holds a byte."""
    if offset > 0 and data[offset - 1 : offset] == b"\n":
        return offset
    end = data.find(b"\n", offset)
    return len(data) if end < 0 else end + 1


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
