"""What happens to a suggestion, as events: sizes, hashes and timings, never source text."""

from __future__ import annotations

from typing import Any, Literal, get_args

import msgspec

from lsp_server.types import Trigger

Evidence = Literal["client", "answered", "accepted"]
# How much was taken at once: the rest of a line, or less.
Unit = Literal["line", "word"]
# Why a suggestion stands no longer: ``typed_through`` is that the user typed all of it, or its
# first line, by hand; ``typed_over`` that something else was typed in its place; ``superseded``
# that the cursor went elsewhere, or that another suggestion or none came in its place.
Ending = Literal[
    "accepted", "dismissed", "typed_through", "typed_over", "superseded", "closed", "session_ended"
]


class _Event(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    tag_field="kind",
    tag=lambda name: "partially_accepted" if name == "PartiallyAccepted" else name.lower(),
):
    """What every event carries.

    Args:
        completion_id: the suggestion it is about.
        ts: when it happened, in seconds since 1970 (UTC).
        session: the server process' session id.
        client: the editor's name ("" if it gave none).
        language: LSP language id.
        model: id of the model ("" while it is not known).
    """

    completion_id: str
    ts: float
    session: str
    client: str = ""
    language: str = ""
    model: str = ""


class Requested(_Event, frozen=True, kw_only=True):
    """A client asked for a suggestion.

    Args:
        trigger: while typing, or on an explicit command.
        prefix_hash: salted hash of the end of the text before the cursor.
        n_prefix_chars: characters before the cursor.
        n_suffix_chars: characters after the cursor.
        uri_hash: salted hash of the document's URI.
        file_kind: ``test``, ``source`` or ``other``, by the document's path.
    """

    trigger: Trigger
    prefix_hash: str
    n_prefix_chars: int
    n_suffix_chars: int
    uri_hash: str
    file_kind: str = ""


class Shown(_Event, frozen=True, kw_only=True):
    """A suggestion stood before the user's eyes.

    Args:
        n_chars: its length.
        n_lines: number of lines it touches; 1 for text without a line break.
        latency_ms: from the arrival of the request to the first displayable text.
        ttft_ms: time to first token; 0 when no token was waited for (a cached suggestion).
        score: mean log-probability of its tokens (0 is certain).
        p: probability of an accept, as it was estimated; None where it was not.
        features: what that was estimated from, see score/features.py; None where one is not known.
        features_version: of them; 0 for none.
        explored: whether it was shown though it was less likely to be taken than wanted.
        evidence: how we know. ``client``: the client said so. ``answered``: assumed, because the
            client had never reported what it shows, and did not do so within a few seconds and
            before anything else. ``accepted``: it must have been, since it was accepted.
    """

    n_chars: int
    n_lines: int
    latency_ms: float
    ttft_ms: float
    score: float
    evidence: Evidence
    p: float | None = None
    features: tuple[float | None, ...] = ()
    features_version: int = 0
    explored: bool = False


class Continued(_Event, frozen=True, kw_only=True):
    """A part of a suggestion was typed, and what is left of it is shown as the answer.

    Args:
        of: id of the suggestion that was shown first; what becomes of it is told under that id.
    """

    of: str


class Accepted(_Event, frozen=True, kw_only=True):
    """The user took all that was left of the suggestion: ``n_chars`` with the parts before."""

    n_chars: int


class PartiallyAccepted(_Event, frozen=True, kw_only=True):
    """The user took a part of the suggestion.

    Args:
        n_chars: characters taken so far, in all parts together.
        unit: the largest part that was taken at once so far.
    """

    n_chars: int
    unit: Unit = "word"


class Dismissed(_Event, frozen=True, kw_only=True):
    """The user turned the suggestion down; ``reason`` is what the client reported."""

    reason: str


class Ended(_Event, frozen=True, kw_only=True):
    """A suggestion does not stand before the user's eyes any more.

    It may come again, as when something wrong is typed and deleted: the last such event counts,
    and the times add up.

    Args:
        how: why.
        visible_ms: how long it stood there.
        n_chars: its length.
        n_typed: characters of it that the user typed by hand.
    """

    how: Ending
    visible_ms: float
    n_chars: int
    n_typed: int


class Retained(_Event, frozen=True, kw_only=True):
    """How much of an accepted suggestion still stands some time after the accept.

    Args:
        n_chars: characters that were accepted.
        n_kept: those of them that still stand.
        after_s: seconds since the accept.
    """

    n_chars: int
    n_kept: int
    after_s: float


class Written(_Event, frozen=True, kw_only=True):
    """Characters that came into documents since the last such event.

    Args:
        n_chars: all of them, pasted ones too; accepted suggestions are among them.
        n_accepted: those of accepted suggestions.
        file_kind: of the documents, see ``Requested``.
    """

    n_chars: int
    n_accepted: int
    file_kind: str = ""


class Failed(_Event, frozen=True, kw_only=True):
    """A request ended without a suggestion; ``reason`` is a stable code."""

    reason: str


Event = (
    Requested
    | Shown
    | Continued
    | Accepted
    | PartiallyAccepted
    | Dismissed
    | Ended
    | Retained
    | Written
    | Failed
)

COMMON_FIELDS = ("kind", *_Event.__struct_fields__)
KINDS = frozenset(str(kind.__struct_config__.tag) for kind in get_args(Event))


def to_row(event: Event) -> tuple[Any, ...]:
    """The values of COMMON_FIELDS, then the event's own fields as one JSON text."""
    fields: dict[str, Any] = {
        name: _storable(value) for name, value in msgspec.to_builtins(event).items()
    }
    common = tuple(fields.pop(name) for name in COMMON_FIELDS)
    return (*common, msgspec.json.encode(fields).decode())


def _storable(value: Any) -> Any:
    # Clients can send lone surrogates inside JSON strings; no database takes them.
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def from_row(row: tuple[Any, ...]) -> Event | None:
    """The event of a row made by ``to_row``; None for a kind this version does not know.

    Raises:
        msgspec.ValidationError, msgspec.DecodeError: a known kind with other content.
    """
    *common, data = row
    if common[0] not in KINDS:
        return None
    own: dict[str, Any] = msgspec.json.decode(data)
    fields = {**dict(zip(COMMON_FIELDS, common, strict=True)), **own}
    event: Event = msgspec.convert(fields, type=Event)
    return event
