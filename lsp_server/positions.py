"""Positions as editors count them, turned into code-point columns and back.

An LSP position is a line and a number of code units (UTF-8 bytes, UTF-16 units or code
points) in that line. Inside midfill a column is a number of code points. Only ``\\n``,
``\\r\\n`` and ``\\r`` end a line; U+2028, form feed and their like are ordinary characters.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from lsp_server.types import Position

PositionEncoding = Literal["utf-8", "utf-16", "utf-32"]

DEFAULT_ENCODING: PositionEncoding = "utf-16"
_SUPPORTED: dict[str, PositionEncoding] = {
    "utf-8": "utf-8",
    "utf-16": "utf-16",
    "utf-32": "utf-32",
}
_LINE = re.compile(r"[^\r\n]*(?:\r\n?|\n)")


def negotiate(offered: Sequence[str] | None) -> PositionEncoding:
    """The position encoding to use with a client.

    Args:
        offered: the client's ``general.positionEncodings``, the best liked one first.

    Returns:
        the first offered encoding that is known here; UTF-16 when there is none.
    """
    for name in offered or ():
        if name in _SUPPORTED:
            return _SUPPORTED[name]
    return DEFAULT_ENCODING


def split_lines(text: str) -> list[str]:
    """Split a text into lines that keep their EOL; the last one has none (it may be empty)."""
    if "\r" in text:
        lines = _LINE.findall(text)
        lines.append(text[sum(map(len, lines)) :])
        return lines
    lines = text.split("\n")
    last = lines.pop()
    lines = [line + "\n" for line in lines]
    lines.append(last)
    return lines


def content_length(line: str) -> int:
    """Number of code points of a line without its EOL."""
    if line.endswith("\r\n"):
        return len(line) - 2
    return len(line) - (line[-1:] in ("\n", "\r"))


def column_of(line: str, units: int, encoding: PositionEncoding) -> int:
    """The code-point column of a position in a line.

    A position past the end means the end of the line's content; one inside a character
    means its start.

    Args:
        line: the line, with or without EOL.
        units: zero-based number of code units.
        encoding: what a unit is.
    """
    end = content_length(line)
    if units <= 0:
        return 0
    if encoding == "utf-32" or line.isascii():
        return min(units, end)
    if encoding == "utf-16":
        return _column_utf16(line[: min(units, end)], units)
    return _column_utf8(line[: min(units, end)], units)


def units_of(line: str, column: int, encoding: PositionEncoding) -> int:
    """The number of code units left of a code-point column; the reverse of ``column_of``."""
    before = line[: min(max(column, 0), content_length(line))]
    if encoding == "utf-32" or before.isascii():
        return len(before)
    if encoding == "utf-16":
        return len(before.encode("utf-16-le", "surrogatepass")) // 2
    return len(before.encode("utf-8", "surrogatepass"))


def locate(
    lines: Sequence[str], line: int, character: int, encoding: PositionEncoding
) -> tuple[int, int]:
    """Line and code-point column of an LSP position, moved to the nearest place that exists.

    Args:
        lines: all lines of the text; the last one has no EOL.
        line: zero-based line; past the last one means the end of the text.
        character: zero-based number of code units.
        encoding: what a unit is.
    """
    last = len(lines) - 1
    if line > last:
        return last, content_length(lines[last])
    if line < 0:
        return 0, 0
    return line, column_of(lines[line], character, encoding)


def _column_utf16(text: str, units: int) -> int:
    # The codec counts surrogate pairs in C; a Python loop would cost 100 times as much.
    data = text.encode("utf-16-le", "surrogatepass")
    cut = units * 2
    if cut >= len(data):
        return len(text)
    if _is_low_surrogate(data, cut) and _is_high_surrogate(data, cut - 2):
        cut -= 2
    return len(data[:cut].decode("utf-16-le", "surrogatepass"))


def _column_utf8(text: str, units: int) -> int:
    data = text.encode("utf-8", "surrogatepass")
    cut = units
    if cut >= len(data):
        return len(text)
    while data[cut] & 0xC0 == 0x80:
        cut -= 1
    return len(data[:cut].decode("utf-8", "surrogatepass"))


def _is_high_surrogate(data: bytes, at: int) -> bool:
    return 0xD8 <= data[at + 1] <= 0xDB


def _is_low_surrogate(data: bytes, at: int) -> bool:
    return 0xDC <= data[at + 1] <= 0xDF


def end_of(at: Position, text: str) -> Position:
    """Where a text ends that begins at a position."""
    *whole, last = split_lines(text)
    return Position(at.line + len(whole), len(last) + (0 if whole else at.column))
