"""What is written down of a suggestion, and that no text is."""

from __future__ import annotations

import math

import msgspec

from lsp_server.acceptance.events import Requested, to_row
from lsp_server.score.features import VERSION
from tests.acceptance.bench import Bench, judged, shows
from tests.acceptance.makers import request


def test_request_is_described_by_sizes_and_hashes(bench: Bench) -> None:
    """A request logs how much text is around the cursor, and no text."""
    text = "SECRET = 1\r\nprint(SECRET)\n"
    bench.tracker.requested(request(text=text, line=1, column=6), model="0.5b")
    [event] = bench.log.events
    assert isinstance(event, Requested)
    assert (event.n_prefix_chars, event.n_suffix_chars) == (18, 8)
    assert (event.session, event.ts, event.client, event.language, event.model) == (
        "session",
        5000.0,
        "Neovim",
        "python",
        "0.5b",
    )
    written = msgspec.json.encode(event).decode()
    assert "SECRET" not in written
    assert "work.py" not in written


def test_prefix_hash_depends_on_the_prefix_alone(bench: Bench) -> None:
    """Equal text before the cursor has equal hashes, whatever follows; other text has others."""
    texts = ["a = 1\nb", "a = 1\nbcd\n", "a = 2\nb"]
    for text in texts:
        bench.tracker.requested(request(text=text, line=1, column=1))
    hashes = [event.prefix_hash for event in bench.log.events if isinstance(event, Requested)]
    assert hashes[0] == hashes[1] != hashes[2]


def test_cursor_on_the_last_empty_line(bench: Bench) -> None:
    """A cursor after the last line end has the whole text before it."""
    bench.tracker.requested(request(text="a = 1\n", line=1, column=0))
    event = bench.log.events[0]
    assert isinstance(event, Requested)
    assert (event.n_prefix_chars, event.n_suffix_chars) == (6, 0)


def test_what_the_probability_was_made_from_is_logged(bench: Bench) -> None:
    """As numbers; what is not known is null, since JSON has no NaN."""
    asked = request()
    bench.tracker.requested(asked)
    bench.tracker.judged("c1", 0.4, (1.23456789, math.nan), explored=True)
    bench.tracker.judged("nobody", 0.4)
    bench.tracker.answered(judged(0.4), asked)
    (shown,) = shows(bench)
    assert (shown.p, shown.explored) == (0.4, True)
    assert shown.features == (1.2346, None)
    assert shown.features_version == VERSION
    assert msgspec.json.decode(to_row(shown)[-1])["features"] == [1.2346, None]


def test_what_grows_is_logged_once_its_probability_is_known(bench: Bench) -> None:
    """A client may announce it before; what is known at the end is in the log."""
    asked = request()
    bench.tracker.requested(asked)
    bench.tracker.answered(judged(None, complete=False), asked)
    assert bench.tracker.shown("c1") is None
    assert shows(bench) == []
    bench.tracker.judged("c1", 0.7, (1.0,))
    bench.tracker.answered(judged(0.7, complete=False), asked)
    bench.tracker.answered(judged(0.7), asked)
    assert [event.p for event in shows(bench)] == [0.7]


def test_failure_has_its_reason(bench: Bench) -> None:
    """A request without a suggestion logs why."""
    asked = request()
    bench.tracker.requested(asked, model="0.5b")
    bench.tracker.failed(asked, "engine_unavailable")
    event = bench.log.events[-1]
    assert (type(event).__name__, getattr(event, "reason", ""), event.model) == (
        "Failed",
        "engine_unavailable",
        "0.5b",
    )
