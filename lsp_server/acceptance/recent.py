"""How the last requests ended."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from lsp_server.acceptance.events import (
    Accepted,
    Continued,
    Dismissed,
    Ended,
    Event,
    Failed,
    PartiallyAccepted,
    Requested,
    Shown,
)
from lsp_server.reasons import OVERTAKEN, Reason, explain


class Outcome(msgspec.Struct, kw_only=True):
    """What became of one request.

    Args:
        id: of the request, and of its suggestion.
        ts: when it was made, in seconds since 1970.
        client: the editor's name.
        language: LSP language id.
        became: ``shown``, ``continued`` where the suggestion before goes on, ``accepted``,
            ``partially_accepted``, ``dismissed``, ``typed_through`` where it was typed by hand,
            ``empty``, or ``unknown`` while nothing is known.
        reason: code of an empty answer.
        n_chars: size of the suggestion.
        latency_ms: until it could be shown.
    """

    id: str
    ts: float
    client: str
    language: str
    became: str = "unknown"
    reason: str = ""
    n_chars: int = 0
    latency_ms: float = 0.0

    @property
    def meaning(self) -> Reason:
        """Of the reason code."""
        return explain(self.reason)

    @property
    def sentence(self) -> str:
        """For a table."""
        if self.reason:
            return f"{self.reason}: {self.meaning.text}"
        if self.became == "unknown":
            return "no answer yet, or not shown"
        if self.became == "continued":
            return "what was suggested before goes on"
        how = self.became.replace("partially_accepted", "accepted in part")
        how = how.replace("typed_through", "typed by hand")
        return f"{how}, {self.n_chars:,} characters after {self.latency_ms:,.0f} ms"

    def as_json(self) -> dict[str, Any]:
        """Its fields, and what the reason means."""
        meaning = self.meaning if self.reason else Reason("")
        fields: dict[str, Any] = msgspec.to_builtins(self)
        return {**fields, "text": meaning.text, "hint": meaning.hint}


def outcomes(events: Iterable[Event], *, overtaken: bool = False) -> list[Outcome]:
    """What became of each request, the oldest first.

    Args:
        events: oldest first.
        overtaken: whether requests are listed in whose place newer ones came.
    """
    found: dict[tuple[str, str], Outcome] = {}
    for event in events:
        key = event.session, event.completion_id
        if isinstance(event, Requested):
            found[key] = Outcome(
                id=event.completion_id, ts=event.ts, client=event.client, language=event.language
            )
        outcome = found.get(key)
        if outcome is None:
            continue
        match event:
            case Shown():
                outcome.became, outcome.n_chars = "shown", event.n_chars
                outcome.latency_ms = event.latency_ms
            case Continued():
                outcome.became = "continued"
            case Accepted():
                outcome.became = "accepted"
            case PartiallyAccepted() if outcome.became != "accepted":
                outcome.became = "partially_accepted"
            case Dismissed() if outcome.became == "shown":
                outcome.became = "dismissed"
            case Ended(how="typed_through") if outcome.became == "shown":
                outcome.became = "typed_through"
            case Failed():
                outcome.became, outcome.reason = "empty", event.reason
            case _:
                pass
    return [each for each in found.values() if overtaken or each.reason not in OVERTAKEN]
