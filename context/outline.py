"""Definitions, and what they look like without their bodies."""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

_MAX_CONSTANT_CHARS = 80
# ``self.name = …`` or ``self.name: Type = …`` at the beginning of a line.
_ATTRIBUTE = re.compile(r"^[ \t]+self\.(\w+)(?:[ ]*:[^=\n]+)?[ ]*=(?!=)[^\n]*", re.MULTILINE)


class Definition(msgspec.Struct, frozen=True, kw_only=True, gc=False):
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


def moved(definition: Definition, shift: int) -> Definition:
    """A definition with its offsets, and those of its members, greater by so many bytes."""
    return Definition(
        kind=definition.kind,
        name=definition.name,
        start_byte=definition.start_byte + shift,
        end_byte=definition.end_byte + shift,
        header_end=definition.header_end + shift,
        indent=definition.indent,
        docstring=definition.docstring,
        members=tuple(moved(member, shift) for member in definition.members),
    )


def flatten(found: Iterable[Definition]) -> list[Definition]:
    """Definitions and members of classes, in file order."""
    flat: list[Definition] = []
    for definition in found:
        flat.append(definition)
        if definition.members:
            flat.extend(flatten(definition.members))
    return flat


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
