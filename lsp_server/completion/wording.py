"""A suggestion in the model's own words, and how to have it write other ones."""

from __future__ import annotations

from typing import NamedTuple

from lsp_server.engine.protocol import Detour
from lsp_server.score.evidence import Token


class Wording(NamedTuple):
    """A suggestion as the model wrote it, before it was shaped for display.

    Args:
        raw: its text.
        tokens: of it, the first at its beginning.
    """

    raw: str
    tokens: tuple[Token, ...]

    def detour(self, before: str, by_now: str) -> Detour | None:
        """How to write another text at its place.

        The first line of it is left where the model was least sure: the likeliest other line
        differs there.

        Args:
            before: text of the line left of the cursor when it was written.
            by_now: the same by now, after some of it was typed or taken back.

        Returns:
            None where something else was typed than the model had written.
        """
        written = before + self.raw
        if not written.startswith(by_now):
            return None
        line = written[: _end_of_line(written, len(by_now))]
        starts = (0, *(token.end for token in self.tokens))
        choices = [
            (_sureness(token), len(before) + start)
            for token, start in zip(self.tokens, starts, strict=False)
            if len(by_now) <= len(before) + start < len(line)
        ]
        at = min(choices)[1] if choices else len(by_now)
        return Detour(text=line[len(by_now) :], at=at - len(by_now))


def _end_of_line(text: str, start: int) -> int:
    """Where the first line of a text with something in it ends, from a place on."""
    behind = text[start:]
    end = text.find("\n", start + len(behind) - len(behind.lstrip()))
    return len(text) if end < 0 else end


def _sureness(token: Token) -> float:
    """How sure the model was of a token: by its margin, where that is known."""
    return token.logprob if token.margin is None else token.margin
