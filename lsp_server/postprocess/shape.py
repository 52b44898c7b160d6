"""All filters in order: the displayable part of a stream, and when to stop it."""

from __future__ import annotations

import msgspec

from context.block import balance, block_end
from context.types import CursorScope
from lsp_server.postprocess.overlap import next_line_start, overlap_with_line_after
from lsp_server.postprocess.repeats import repeat_start
from lsp_server.postprocess.safety import introduces_unsafe


class View(msgspec.Struct, frozen=True, kw_only=True):
    """What a stream amounts to so far.

    Args:
        text: what may be shown.
        stop: why the stream need not go on ("" while it should).
    """

    text: str
    stop: str = ""


class Shaper:
    """Shapes the stream of one completion.

    Args:
        scope: where the cursor stands.
        before: the text left of the cursor, as UTF-8.
        around: text near the cursor, to tell which characters the document has already.
        max_lines: longest suggestion.
    """

    def __init__(
        self, scope: CursorScope, *, before: bytes, around: str, max_lines: int, multi_line: bool
    ) -> None:
        self._scope = scope
        self._before = before
        self._around = around
        self._max_lines = max_lines if multi_line else 1
        self._multi_line = multi_line
        # A line below that begins with closing brackets closes ours: they are not to be repeated.
        below = scope.next_line.strip()
        self._closers_below = below[: len(below) - len(below.lstrip(")]}"))]

    def view(self, raw: str, *, final: bool) -> View:
        """The displayable part of ``raw``.

        Args:
            raw: everything streamed so far, with ``\\n`` as EOL.
            final: no more text comes.
        """
        if introduces_unsafe(raw, self._around):
            return View(text="", stop="unsafe_characters")
        text, stop = self._cut_length(raw)
        text, stop = self._cut_repeats(text, stop)
        text, stop = self._cut_next_line(text, stop, final=final or bool(stop))
        text, stop = self._cut_brackets(text, stop)
        size = overlap_with_line_after(text, self._scope.line_after, final=final or bool(stop))
        text = text[: len(text) - size].rstrip()
        return View(text=text, stop=stop)

    def _cut_length(self, raw: str) -> tuple[str, str]:
        if not self._multi_line:
            line, newline, _ = raw.partition("\n")
            return line, "line_end" if newline else ""
        end = block_end(self._before, raw, self._scope)
        if end is not None:
            return raw[:end], "block_end"
        lines = raw.split("\n")
        if len(lines) > self._max_lines:
            return "\n".join(lines[: self._max_lines]), "max_lines"
        return raw, ""

    def _cut_repeats(self, text: str, stop: str) -> tuple[str, str]:
        start = repeat_start(text)
        return (text, stop) if start is None else (text[:start], "repeats")

    def _cut_next_line(self, text: str, stop: str, *, final: bool) -> tuple[str, str]:
        found = next_line_start(text, self._scope.line_before, self._scope.next_line, final=final)
        if found is None:
            return text, stop
        keep, certain = found
        return text[:keep], "next_line" if certain else stop

    def _cut_brackets(self, text: str, stop: str) -> tuple[str, str]:
        scope = self._scope
        keep = balance(
            scope.line_before,
            text,
            scope.line_after if scope.line_after.strip() else self._closers_below,
            kind=scope.kind,
            open_brackets=scope.open_brackets,
        )
        return (text, stop) if keep >= len(text) else (text[:keep], "brackets")
