"""A suggestion that would make a text unparseable is cut back to its last line that parses."""

from __future__ import annotations

import re

from context.parses import ParseGate, gate_for
from lsp_server.postprocess.cut import Cut
from lsp_server.postprocess.surroundings import Surroundings

_CLOSERS = re.compile(r"[)\]}\s]*")


class Parsing:
    """Looks at each line of one completion as it is complete.

    Args:
        place: of the completion.
    """

    def __init__(self, place: Surroundings) -> None:
        self._place = place
        self._gate: ParseGate | None = None
        self._is_used = _CLOSERS.fullmatch(place.scope.line_after) is not None
        self._seen = ""
        self._cut: Cut | None = None

    def cut(self, text: str) -> Cut | None:
        """The first complete line that does not parse.

        Args:
            text: the completion so far.
        """
        if not text.startswith(self._seen):
            self._seen, self._cut = "", None
        end = text.find("\n", len(self._seen))
        while self._cut is None and end >= 0:
            start = len(self._seen)
            if text[start:end].strip() and not self._parses(text[:end], is_open=False):
                self._cut = Cut(end + 1, max(0, start - 1), "parse")
            self._seen = text[: end + 1]
            end = text.find("\n", len(self._seen))
        return self._cut

    def settled(self, text: str) -> str:
        """A whole text without a last line that does not parse, whatever it may lack.

        Args:
            text: the completion.
        """
        start = text.rfind("\n") + 1
        if not text[start:].strip() or self._parses(text, is_open=True):
            return text
        return text[: max(0, start - 1)]

    def _parses(self, text: str, *, is_open: bool) -> bool:
        if self._is_used and self._gate is None:
            self._gate = gate_for(self._place.prefix, self._place.scope)
            self._is_used = self._gate is not None
        if self._gate is None:
            return True
        return self._gate.parses(self._place.scope.line_before + text, is_open=is_open)
