"""How many lines: the cursor's line, its statement, its block, or as many as the setting says."""

from __future__ import annotations

import re
from typing import Literal

from context.block import block_end
from context.lexical import advance, flat
from lsp_server.postprocess.cut import Cut, first, seen_first
from lsp_server.postprocess.surroundings import Surroundings

MultiLine = Literal["auto", "never", "always"]

_PYTHON_HEADER = re.compile(
    r"[ \t]*@|[ \t]*(?:async|def|class|if|elif|else|for|while|try|except|finally|with|match|case)\b"
    r".*:[ \t]*(?:#.*)?$"
)
_OPENS = re.compile(r"(?:[{(\[]|=>|\b(?:then|do|else|begin))[ \t]*$")


class Lengths:
    """Tells where a completion is long enough.

    Args:
        place: of it.
        max_lines: at most so many.
        multi_line: ``auto`` takes several lines where the cursor's scope says so, and where the
            line that the completion makes of the cursor's line wants more: it opens a bracket or
            a block, and nothing stands right of the cursor.
    """

    def __init__(self, place: Surroundings, *, max_lines: int, multi_line: MultiLine) -> None:
        self._place = place
        self._before = place.prefix.encode("utf-8", "replace")
        self._max_lines = max_lines
        self._is_multi = place.scope.multi_line if multi_line == "auto" else multi_line == "always"
        self._may_open = multi_line == "auto" and place.at_line_end

    def cut(self, text: str) -> Cut | None:
        """Where it is; None while it may go on.

        Args:
            text: the completion so far.
        """
        newline = text.find("\n")
        if self._is_multi:
            return self._end(text)
        if newline < 0:
            return None
        if not self._may_open or not text[:newline].strip():
            return Cut(newline + 1, newline, "line_end")
        if self._place.scope.language != "python":
            opens = _OPENS.search(text, 0, newline) is not None
            return self._end(text) if opens else Cut(newline + 1, newline, "line_end")
        return self._statement_end(text)

    def _end(self, text: str) -> Cut | None:
        return first(
            (
                seen_first(text, self._block_end, "block_end"),
                self._lines_end(text),
            )
        )

    def _block_end(self, text: str) -> int | None:
        return block_end(self._before, text, self._place.scope)

    def _lines_end(self, text: str) -> Cut | None:
        end = -1
        for _ in range(self._max_lines):
            end = text.find("\n", end + 1)
            if end < 0:
                return None
        return Cut(end + 1, end, "max_lines")

    def _statement_end(self, text: str) -> Cut | None:
        """The end of the logical line that the cursor is in; behind a header that of its body."""
        scope = self._place.scope
        state = advance(scope.line_before)
        n_closed = sum(sign in ")]}" for sign in scope.line_after)
        n_outer = len(state.brackets)
        statement = scope.line_before
        start = 0
        for line in text.split("\n")[:-1]:
            state = advance(flat(line) + "\n", state)
            end = start + len(line)
            statement += line
            # Of what was open before the completion nothing asks for more lines.
            is_open = len(state.brackets) > max(n_closed, n_outer)
            if not (is_open or len(state.quote) == 3 or state.continued):
                if _PYTHON_HEADER.match(statement.replace("\n", " ")):
                    return self._end(text)
                return first((Cut(end + 1, end, "line_end"), self._lines_end(text)))
            start = end + 1
        return self._lines_end(text)
