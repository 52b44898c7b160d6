"""Builds requests, completions and events for the tests of the acceptance log."""

from __future__ import annotations

from lsp_server.acceptance.events import Accepted, Event, Evidence, Requested, Shown
from lsp_server.types import Completion, CompletionRequest, Snapshot, Timings


class ListLog:
    """An event sink that keeps everything in a list."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def append(self, event: Event) -> None:
        """Keep the event."""
        self.events.append(event)

    @property
    def kinds(self) -> list[str]:
        """The kinds of the events in order."""
        return [type(event).__name__ for event in self.events]


def request(
    completion_id: str = "c1",
    *,
    text: str = "def add(a, b):\n    ",
    line: int = 1,
    column: int = 4,
    uri: str = "file:///work.py",
    received_s: float = 100.0,
) -> CompletionRequest:
    """A request at a position of a Python text."""
    return CompletionRequest(
        id=completion_id,
        snapshot=Snapshot(
            uri=uri, version=1, language="python", lines=tuple(text.splitlines(keepends=True))
        ),
        line=line,
        column=column,
        client="Neovim",
        received_s=received_s,
    )


def completion(
    completion_id: str = "c1", text: str = "return a + b", *, complete: bool = True
) -> Completion:
    """A suggestion with a score and timings."""
    return Completion(
        id=completion_id,
        text=text,
        line=1,
        column=4,
        score=-0.25,
        timings=Timings(ttft_ms=40.0, total_ms=90.0),
        model="0.5b",
        complete=complete,
    )


def requested(completion_id: str, ts: float = 1000.0, session: str = "s1") -> Requested:
    """A request event."""
    return Requested(
        completion_id=completion_id,
        ts=ts,
        session=session,
        client="Neovim",
        language="python",
        trigger="automatic",
        prefix_hash="00",
        n_prefix_chars=19,
        n_suffix_chars=0,
        uri_hash="11",
    )


def shown(
    completion_id: str,
    *,
    ts: float = 1000.0,
    latency_ms: float = 100.0,
    evidence: Evidence = "client",
    language: str = "python",
    model: str = "0.5b",
) -> Shown:
    """A shown event."""
    return Shown(
        completion_id=completion_id,
        ts=ts,
        session="s1",
        client="Neovim",
        language=language,
        model=model,
        n_chars=12,
        n_lines=1,
        latency_ms=latency_ms,
        ttft_ms=40.0,
        score=-0.25,
        evidence=evidence,
    )


def accepted(completion_id: str, n_chars: int = 12) -> Accepted:
    """An accept event."""
    return Accepted(
        completion_id=completion_id,
        ts=1001.0,
        session="s1",
        client="Neovim",
        language="python",
        model="0.5b",
        n_chars=n_chars,
    )
