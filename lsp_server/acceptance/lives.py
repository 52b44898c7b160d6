"""What became of each suggestion, read off its events."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable
from typing import Literal

from lsp_server.acceptance.events import (
    Accepted,
    Dismissed,
    Ended,
    Ending,
    Event,
    Failed,
    PartiallyAccepted,
    Requested,
    Retained,
    Shown,
    Unit,
)
from lsp_server.acceptance.history import GLIMPSED_MS

Outcome = Literal[
    "accepted", "partially_accepted", "dismissed", "typed_through", "typed_over", "superseded",
    "closed", "unknown",
]  # fmt: skip

# Source: telemetry of a commercial assistant.
READ_MS = 750.0
_CLOSED: tuple[Ending, ...] = ("closed", "session_ended")


@dataclasses.dataclass(slots=True)
class Life:
    """What became of one completion id."""

    client: str = ""
    language: str = ""
    model: str = ""
    file_kind: str = ""
    session: str = ""
    requested: bool = False
    shown: Shown | None = None
    accepted: bool = False
    dismissed: bool = False
    n_accepted_chars: int = 0
    unit: Unit = "word"
    ended: Ended | None = None
    visible_ms: float = 0.0
    retained: dict[float, Retained] = dataclasses.field(default_factory=dict)
    failed: str = ""

    @property
    def outcome(self) -> Outcome:
        """What the user did with it in the end; taking some of it outweighs all else."""
        if self.accepted:
            return "accepted"
        if self.n_accepted_chars:
            return "partially_accepted"
        if self.ended is not None and self.ended.how == "typed_through":
            return "typed_through"
        if self.dismissed:
            return "dismissed"
        if self.ended is None or self.ended.how in ("accepted", "dismissed"):
            return "unknown"
        return "closed" if self.ended.how in _CLOSED else self.ended.how  # type: ignore[return-value]

    @property
    def is_read(self) -> bool:
        """Whether it stood long enough to be read."""
        return self.visible_ms >= READ_MS

    @property
    def is_glimpsed(self) -> bool:
        """Whether it was superseded before anybody could take it: it counts in no rate."""
        return self.outcome == "superseded" and self.visible_ms < GLIMPSED_MS

    @property
    def is_typed_whole(self) -> bool:
        """Whether all of it was typed by hand."""
        return (
            self.outcome == "typed_through"
            and self.ended is not None
            and self.ended.n_typed >= self.ended.n_chars
        )


def lives_of(events: Iterable[Event]) -> list[Life]:
    """Each suggestion once.

    Args:
        events: in the order in which they happened.
    """
    lives: dict[tuple[str, str], Life] = collections.defaultdict(Life)
    for event in events:
        life = lives[event.session, event.completion_id]
        life.session = event.session
        life.client = event.client or life.client
        life.language = event.language or life.language
        life.model = event.model or life.model
        match event:
            case Requested():
                life.requested = True
                life.file_kind = event.file_kind
            case Shown():
                life.shown = event
            case Accepted():
                life.accepted = True
                life.n_accepted_chars = max(life.n_accepted_chars, event.n_chars)
            case PartiallyAccepted():
                life.n_accepted_chars = max(life.n_accepted_chars, event.n_chars)
                life.unit = "line" if event.unit == "line" else life.unit
            case Dismissed():
                life.dismissed = True
            case Ended():
                life.ended = event
                life.visible_ms += event.visible_ms
            case Retained():
                life.retained[event.after_s] = event
            case Failed():
                life.failed = event.reason
            case _:
                pass
    return list(lives.values())
