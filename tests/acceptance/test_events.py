"""Events as rows of the database."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from lsp_server.acceptance import events
from lsp_server.acceptance.events import (
    Accepted,
    Continued,
    Dismissed,
    Ended,
    Event,
    Failed,
    PartiallyAccepted,
    Retained,
    Written,
    from_row,
    to_row,
)
from tests.acceptance import makers

COMMON: dict[str, Any] = {"completion_id": "c", "ts": 1.5, "session": "s"}
EVENTS: list[Event] = [
    makers.requested("c"),
    makers.shown("c"),
    Continued(**COMMON, of="b"),
    Accepted(**COMMON, n_chars=3),
    PartiallyAccepted(**COMMON, n_chars=2),
    Dismissed(**COMMON, reason="escape"),
    Ended(**COMMON, how="typed_through", visible_ms=812.5, n_chars=12, n_typed=7),
    Retained(**COMMON, n_chars=3, n_kept=2, after_s=30.0),
    Written(**COMMON, n_chars=30, n_accepted=12),
    Failed(**COMMON, reason="engine_unavailable"),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_round_trip(event: Event) -> None:
    """An event read back from its row equals the one that was written."""
    assert from_row(to_row(event)) == event


def test_every_kind_is_tried() -> None:
    """The list above covers every kind of event there is."""
    assert {to_row(event)[0] for event in EVENTS} == events.KINDS
    assert "partially_accepted" in events.KINDS


def test_kind_of_a_newer_version_is_left_out() -> None:
    """A row of an unknown kind is no error, since a newer midfill may share the log."""
    row = to_row(Failed(**COMMON, reason="x"))
    assert from_row(("regretted", *row[1:])) is None


def test_malformed_row_is_an_error() -> None:
    """A known kind whose content does not fit is not taken for an event."""
    row = to_row(Accepted(**COMMON, n_chars=3))
    with pytest.raises(msgspec.ValidationError):
        from_row((*row[:-1], '{"n_chars": "many"}'))


def test_lone_surrogates_become_storable() -> None:
    """A client's broken strings are stored with a replacement character instead of failing."""
    event = Failed(completion_id="c\ud800", ts=1.0, session="s", reason="\udfff")
    assert from_row(to_row(event)) == Failed(completion_id="c?", ts=1.0, session="s", reason="?")
