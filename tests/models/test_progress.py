"""Progress lines for logs and pipes."""

from __future__ import annotations

from typing import Any

from lsp_server.commands.fetch_events import EventProgress
from lsp_server.models.progress import LineProgress


def test_a_line_every_few_seconds() -> None:
    """Between lines at least five seconds pass; each has percent, bytes, speed and time left."""
    lines: list[str] = []
    now = [0.0]
    progress = LineProgress(lines.append, lambda: now[0])
    progress.start("model", 1_000_000_000)
    for second in range(1, 11):
        now[0] = float(second)
        progress.update(second * 50_000_000)
    assert lines == [
        "model: 1,000.0 MB",
        "model:  25 %, 250.0 MB of 1,000.0 MB, 50.0 MB/s, 15 s left",
        "model:  50 %, 500.0 MB of 1,000.0 MB, 50.0 MB/s, 10 s left",
    ]


def test_resumed_transfer_says_what_is_there() -> None:
    """Speed counts only the bytes of this run."""
    lines: list[str] = []
    now = [0.0]
    progress = LineProgress(lines.append, lambda: now[0])
    progress.start("model", 100_000_000, 60_000_000)
    now[0] = 4.0
    progress.update(100_000_000)
    progress.close()
    assert lines == [
        "model: 100.0 MB, 60.0 MB of them there already",
        "model: 100 %, 100.0 MB of 100.0 MB, 10.0 MB/s",
    ]


def test_events_come_a_few_times_a_second() -> None:
    """At the start, every quarter of a second, and at the end; the same figures only once."""
    events: list[dict[str, Any]] = []
    now = [0.0]
    progress = EventProgress("tiny", events.append, lambda: now[0])
    progress.start("fetching", 1000)
    for tenth in range(1, 11):
        now[0] = tenth / 10
        progress.update(tenth * 90)
    progress.close()
    progress.close()
    assert [event["n_bytes"] for event in events] == [0, 270, 540, 810, 900]
    assert events[0] == {"event": "progress", "model": "tiny", "n_bytes": 0, "n_total": 1000}


def test_events_never_go_back() -> None:
    """A source that begins its part again, and hashing, take nothing from what was told."""
    events: list[dict[str, Any]] = []
    progress = EventProgress("tiny", events.append, lambda: 0.0)
    progress.start("from the hub", 1000, 600)
    progress.close()
    progress.start("from the index", 1000, 500)
    progress.close()
    progress.start("checking", 1000)
    progress.close()
    assert [event["n_bytes"] for event in events] == [600]
