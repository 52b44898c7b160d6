"""Texts in the model's own words, and how to have it write the next likeliest one."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from lsp_server.engine.protocol import Detour
from lsp_server.score.evidence import Token

# Where only its probability is known: more than any margin, so that the least likely token counts.
_KNOWN_BY_LOGPROB = 100.0


class Wording(NamedTuple):
    """A suggestion as the model wrote it, before it was shaped for display.

    Args:
        raw: its text.
        tokens: of it, the first at its beginning.
        detours: that led to it.
    """

    raw: str
    tokens: tuple[Token, ...] = ()
    detours: tuple[Detour, ...] = ()

    @property
    def line(self) -> str:
        """The first line of it with something in it, and what stands before that."""
        begin = len(self.raw) - len(self.raw.lstrip())
        end = self.raw.find("\n", begin)
        return self.raw if end < 0 else self.raw[:end]

    def seen_from(self, before: str, by_now: str) -> Wording | None:
        """The same text behind a cursor that went on or back in it.

        Args:
            before: text of the line left of the cursor when it was written.
            by_now: the same by now.

        Returns:
            None where something else was typed than the model had written.
        """
        written, n_gone = before + self.raw, len(by_now) - len(before)
        if not written.startswith(by_now):
            return None
        # What is typed is settled, and so is the rest of a token that was typed in part.
        tokens = [Token(-n_gone, 0.0, math.inf)] if n_gone < 0 else []
        start = 0
        for token in self.tokens:
            margin = token.margin if start >= n_gone else math.inf
            if token.end > n_gone:
                tokens.append(msgspec.structs.replace(token, end=token.end - n_gone, margin=margin))
            start = token.end
        detours = tuple(
            Detour(text=(before + each.text)[len(by_now) :], at=each.at - n_gone)
            for each in self.detours
            if each.at >= n_gone
        )
        return Wording(written[len(by_now) :], tuple(tokens), detours)

    def spurs(self) -> Iterator[tuple[float, Detour]]:
        """Where another line may begin, each with by how much that is less likely.

        A token whose margin is below 0 was not the likeliest: there the text left another one.
        """
        cost, found = 0.0, list[tuple[float, int]]()
        line, start = self.line, 0
        for token in self.tokens or (Token(len(self.raw), 0.0),):
            margin = _KNOWN_BY_LOGPROB + token.logprob if token.margin is None else token.margin
            if margin < 0:
                cost, found = cost - margin, []
            elif start < len(line) and margin < math.inf:
                found.append((margin, start))
            start = token.end
        for margin, at in found:
            yield cost + margin, Detour(text=line, at=at)


def another(wordings: Sequence[Wording]) -> tuple[Detour, ...]:
    """How to write the next likeliest line, as far as what was written tells which that is.

    Each text that the model wrote greedily may be left at each of its tokens for the second
    likeliest one. What that costs is known from the margins, so the next best line is the cheapest
    way that was not taken yet (k-best paths; J. Y. Yen, 1971).

    Args:
        wordings: all behind the same cursor; the way to each but the first is one of these.

    Returns:
        The way to it; empty where there are no wordings.
    """
    taken = {wording.detours[-1] for wording in wordings if wording.detours}
    ways = [
        (cost, (*wording.detours, detour))
        for wording in wordings
        for cost, detour in wording.spurs()
        if detour not in taken
    ]
    if ways:
        return min(ways, key=lambda way: way[0])[1]
    return tuple(Detour(text=wording.line) for wording in wordings)
