"""The definitions behind the text that a prompt shows.

They are read from that text alone. The tree of the whole file changes its shape while the line at
the cursor is half typed, and a prompt whose end changes with every key finds less in the engine's
KV cache.
"""

from __future__ import annotations

import functools
import re

import msgspec

from context.outline import Definition, flatten
from context.reader import definitions
from context.syntax import SyntaxTree
from context.types import SourceFile

# Parsed in about 3 ms; far more than the outlines of a prompt need.
_MAX_BYTES = 32 * 1024
# Where something of interest begins: before it stands the rest of what is shown already.
_FIRST = re.compile(rb"^[ \t]*(?:@|(?:async[ \t]+)?def\b|class\b)|^[A-Za-z_]", re.MULTILINE)
_INDENT = re.compile(rb"^([ \t]*)[^\s#]", re.MULTILINE)


class Behind(msgspec.Struct, frozen=True, kw_only=True):
    """Definitions behind an offset of a file.

    Args:
        data: a text that has them at their ``start_byte``.
        start: add it to a byte offset in that text to get the one in the file.
        definitions: in file order, those in classes after their class.
    """

    data: bytes
    start: int
    definitions: tuple[Definition, ...]


def definitions_behind(file: SourceFile, offset: int) -> Behind:
    """The definitions that begin behind an offset.

    Args:
        file: the text.
        offset: byte offset of a line's start.
    """
    text = file.data[offset : offset + _MAX_BYTES]
    if len(text) == _MAX_BYTES:
        text = text[: text.rfind(b"\n") + 1]
    begin, head, found = _parsed(file.language, text)
    return Behind(data=head + text[begin:], start=offset + begin - len(head), definitions=found)


# While the user types, the text behind the cursor stays as it is.
@functools.lru_cache(maxsize=8)
def _parsed(language: str, text: bytes) -> tuple[int, bytes, tuple[Definition, ...]]:
    """Where the first definition begins, what is put before it, and all definitions."""
    first = _FIRST.search(text)
    if first is None:
        return len(text), b"", ()
    begin = first.start()
    head = _enclosing(text[begin:])
    data = head + text[begin:]
    tree = SyntaxTree.parse(SourceFile(path="", language=language, data=data))
    if tree is None:
        return begin, head, ()
    found = flatten(definitions(tree.root, data))
    return begin, head, tuple(each for each in found if each.start_byte >= len(head))


def _enclosing(text: bytes) -> bytes:
    """Headers of classes in which an indented text stands, so that it parses."""
    indents: list[bytes] = []
    for line in _INDENT.finditer(text):
        indent = line.group(1)
        if not indents or len(indent) < len(indents[-1]):
            indents.append(indent)
        if not indent:
            break
    return b"".join(indent + b"class _:\n" for indent in _outer(indents))


def _outer(indents: list[bytes]) -> list[bytes]:
    """Indents of the headers, the outermost first, for text whose indent falls so."""
    if not indents or not indents[0]:
        return []
    return [b"", *reversed([indent for indent in indents[1:] if indent])]
