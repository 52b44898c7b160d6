"""A cursor in a text, and what was typed since it stood there."""

from __future__ import annotations

from typing import NamedTuple

from lsp_server.completion.draft import source_file
from lsp_server.completion.warmup import Spot
from lsp_server.types import CompletionRequest

# Editors close brackets and quotes as they are opened.
_CLOSERS = frozenset(b")]}\"'`>")
_MAX_CLOSERS = 3


class Place(NamedTuple):
    """A cursor in a text.

    Args:
        data: the text as UTF-8 with ``\\n`` as its only EOL.
        cursor: byte offset.
    """

    data: bytes
    cursor: int

    def typed_since(self, other: Place) -> bytes | None:
        """What was typed at another place to come here; None where something else was done."""
        n_typed = self.cursor - other.cursor
        if n_typed < 0 or self.data[: other.cursor] != other.data[: other.cursor]:
            return None
        rest = self.data[self.cursor :]
        before = other.data[other.cursor :]
        closers = rest[: len(rest) - len(before)] if len(rest) > len(before) else b""
        if rest[len(closers) :] != before or len(closers) > _MAX_CLOSERS:
            return None
        if closers and not (n_typed and _CLOSERS.issuperset(closers)):
            return None
        return self.data[other.cursor : self.cursor]


def place_of(where: CompletionRequest | Spot) -> Place:
    """The place of a cursor in an editor's text."""
    file, cursor = source_file(where.snapshot, where.line, where.column)
    return Place(file.data, cursor)
