"""The texts open in the editor, kept in step with it edit by edit."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from lsp_server.errors import DocumentError
from lsp_server.lines import Lines
from lsp_server.positions import DEFAULT_ENCODING, PositionEncoding, locate, split_lines
from lsp_server.types import Edit, Position, Snapshot

_EOLS = ("\n", "\r\n", "\r")
_SURROGATE = re.compile("[\ud800-\udfff]")


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """A range of text in LSP units: zero-based lines, columns in code units."""

    start_line: int
    start_character: int
    end_line: int
    end_character: int


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One step of an edit: ``text`` takes the place of ``span`` (None: of the whole text)."""

    text: str
    span: Span | None = None


class TextDocument:
    """A text and its version.

    Args:
        uri: the document's URI as the client sent it.
        language: LSP language id.
        version: the client's version number.
        text: the whole text.
        encoding: the unit of the columns in changes.
    """

    def __init__(
        self,
        uri: str,
        language: str,
        version: int,
        text: str,
        *,
        encoding: PositionEncoding = DEFAULT_ENCODING,
    ) -> None:
        self.uri = uri
        self.language = language
        self.version = version
        self.encoding = encoding
        self._set_text(text)

    @property
    def lines(self) -> Lines:
        """All lines with their EOLs; an immutable value."""
        return self._lines

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(self._lines)

    @property
    def n_bytes(self) -> int:
        """Size of the text as UTF-8."""
        return self._n_bytes

    @property
    def eol(self) -> str:
        """The EOL most lines have; ``\\n`` for a text of one line."""
        return max(_EOLS, key=self._n_eols.__getitem__)

    def snapshot(self) -> Snapshot:
        """The text as it is now; later changes do not touch it. Costs nothing."""
        return Snapshot(
            uri=self.uri,
            version=self.version,
            language=self.language,
            lines=self._lines,
            eol=self.eol,
            n_bytes=self._n_bytes,
        )

    def change(self, version: int, changes: Iterable[Change]) -> tuple[Edit, ...]:
        """Apply the steps of one edit in order; each one sees the result of the one before.

        Returns:
            What each step did, in code points.
        """
        done = []
        for step in changes:
            text = _without_surrogates(step.text)
            if step.span is None:
                last = len(self._lines) - 1
                end = Position(last, len(self._lines[last]))
                done.append(Edit(Position(0, 0), end, text, self.text))
                self._set_text(text)
            else:
                done.append(self._splice(step.span, text))
        self.version = version
        return tuple(done)

    def _set_text(self, text: str) -> None:
        lines = split_lines(_without_surrogates(text))
        self._n_eols: Counter[str] = Counter()
        self._n_bytes = 0
        self._count(lines, 1)
        self._lines = Lines(lines)

    def _splice(self, span: Span, text: str) -> Edit:
        lines = self._lines
        start = locate(lines, span.start_line, span.start_character, self.encoding)
        end = locate(lines, span.end_line, span.end_character, self.encoding)
        if end < start:
            start, end = end, start
        (first, start_column), (last, end_column) = start, end
        edit = Edit(Position(*start), Position(*end), text, _between(lines, start, end))
        joined = lines[first][:start_column] + text + lines[last][end_column:]
        if start_column == 0 and first > 0 and joined.startswith("\n"):
            before = lines[first - 1]
            if before.endswith("\r"):
                # The two characters are one EOL now.
                first -= 1
                joined = before + joined
        new = split_lines(joined)
        if last < len(lines) - 1:
            # The old last line of the range had an EOL, so the text after it is in ``lines``.
            new.pop()
        self._count(lines[first : last + 1], -1)
        self._count(new, 1)
        self._lines = lines.replaced(first, last + 1, new)
        return edit

    def _count(self, lines: Sequence[str], sign: int) -> None:
        for line in lines:
            size = len(line) if line.isascii() else len(line.encode())
            self._n_bytes += sign * size
            if line.endswith("\r\n"):
                self._n_eols["\r\n"] += sign
            elif line[-1:] in ("\n", "\r"):
                self._n_eols[line[-1]] += sign


class DocumentStore:
    """The open documents by URI.

    Args:
        encoding: the unit of columns, as negotiated with the client.
    """

    def __init__(self, encoding: PositionEncoding = DEFAULT_ENCODING) -> None:
        self.encoding = encoding
        self._documents: dict[str, TextDocument] = {}

    def open(self, uri: str, language: str, version: int, text: str) -> TextDocument:
        """Take up a document; one that is already open is replaced."""
        document = TextDocument(uri, language, version, text, encoding=self.encoding)
        self._documents[uri] = document
        return document

    def change(
        self, uri: str, version: int | None, changes: Iterable[Change]
    ) -> tuple[bool, tuple[Edit, ...]]:
        """Apply an edit.

        Args:
            uri: an open document.
            version: the version after the edit; None leaves it as it is.
            changes: the steps of the edit.

        Returns:
            Whether the version grew, and what each step did. An edit whose version went back or
            stayed, which a client must not send, is applied all the same, because later edits
            build on it.

        Raises:
            DocumentError: the document is not open.
        """
        document = self.get(uri)
        before = document.version
        edits = document.change(before if version is None else version, changes)
        return version is None or version > before, edits

    def close(self, uri: str) -> None:
        """Forget a document.

        Raises:
            DocumentError: the document is not open.
        """
        self.get(uri)
        del self._documents[uri]

    def get(self, uri: str) -> TextDocument:
        """An open document.

        Raises:
            DocumentError: the document is not open.
        """
        document = self._documents.get(uri)
        if document is None:
            raise DocumentError(
                f"The document {uri} is not open.",
                code="document_unknown",
                hint="Close the file and open it again in the editor.",
            )
        return document

    def __len__(self) -> int:
        return len(self._documents)

    def __contains__(self, uri: object) -> bool:
        return uri in self._documents


def _between(lines: Sequence[str], start: tuple[int, int], end: tuple[int, int]) -> str:
    (first, start_column), (last, end_column) = start, end
    if first == last:
        return lines[first][start_column:end_column]
    between = (lines[number] for number in range(first + 1, last))
    return "".join((lines[first][start_column:], *between, lines[last][:end_column]))


def _without_surrogates(text: str) -> str:
    # A lone surrogate is no text and cannot be encoded. U+FFFD has the same length in
    # UTF-8 and UTF-16, so the client's positions stay right.
    if text.isascii():
        return text
    return _SURROGATE.sub("\ufffd", text)
