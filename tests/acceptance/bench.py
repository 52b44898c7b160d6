"""A tracker on a bench: its clocks stand still, and what it logs is at hand."""

from __future__ import annotations

import msgspec

from lsp_server.acceptance.events import Accepted, Ended, Requested, Shown
from lsp_server.acceptance.salt import TextHasher
from lsp_server.acceptance.tracker import AcceptanceTracker
from lsp_server.types import Completion, Edit, Position, Skip
from tests.acceptance.makers import ListLog, completion, request
from tests.acceptance.test_retention import Clock


class Bench:
    """A tracker with clocks that stand still, and the log it writes to."""

    def __init__(self, max_tracked: int = 1000) -> None:
        self.now_s = 100.0
        self.clock = Clock()
        self._log = ListLog()
        self.tracker = AcceptanceTracker(
            self._log,
            "session",
            clock=lambda: 5000.0,
            monotonic=lambda: self.now_s,
            hasher=TextHasher(b"salt"),
            max_tracked=max_tracked,
            later=self.clock.later,
        )

    @property
    def log(self) -> ListLog:
        """All that happened so far."""
        self.tracker.settle()
        return self._log

    def suggest(self, completion_id: str = "c1", text: str = "return a + b") -> Skip | None:
        """A request and its answer."""
        asked = request(completion_id)
        self.tracker.requested(asked)
        return self.tracker.answered(completion(completion_id, text), asked)


def reason(skip: Skip | None) -> str:
    """The reason of a skip."""
    assert skip is not None
    return skip.reason


def shows(bench: Bench) -> list[Shown]:
    """The events of that kind."""
    return [event for event in bench.log.events if isinstance(event, Shown)]


def kinds(bench: Bench) -> list[tuple[str, str]]:
    """Events but requests and endings, with the ids that they are about."""
    return [
        (type(event).__name__, event.completion_id)
        for event in bench.log.events
        if not isinstance(event, Requested | Ended)
    ]


def told(bench: Bench) -> list[str]:
    """Each event's kind and whose it is; how long something stood is another matter."""
    return [
        f"{type(event).__name__} {event.completion_id}"
        for event in bench.log.events
        if not isinstance(event, Ended)
    ]


def accepts(bench: Bench) -> list[tuple[str, int]]:
    """Whose accepts there are, and of how many characters."""
    return [(e.completion_id, e.n_chars) for e in bench.log.events if isinstance(e, Accepted)]


def judged(p: float | None, *, complete: bool = True) -> Completion:
    """A suggestion with a probability."""
    return msgspec.structs.replace(completion(complete=complete), p=p)


def type_text(bench: Bench, text: str, at: Position, before: str) -> str:
    """Insert something into the document; gives its new text."""
    lines = before.splitlines(keepends=True)
    offset = sum(map(len, lines[: at.line])) + at.column
    after = before[:offset] + text + before[offset:]
    snapshot = request(text=after).snapshot
    bench.tracker.document_edited(snapshot, [Edit(at, at, text, "")])
    return after


def start(bench: Bench, text: str = "return a + b") -> None:
    """The suggestion as it is shown first."""
    asked = request("c1")
    bench.tracker.requested(asked)
    whole = msgspec.structs.replace(completion("c1", text), identity="1:12")
    bench.tracker.answered(whole, asked)


def go_on(bench: Bench, completion_id: str, text: str, identity: str = "1:12") -> Skip | None:
    """A request behind a part that was typed, answered with the rest of the suggestion."""
    asked = request(completion_id)
    bench.tracker.requested(asked)
    rest = completion(completion_id, text)
    rest = msgspec.structs.replace(rest, origin="cache", identity=identity)
    partial = msgspec.structs.replace(rest, complete=False, identity="")
    assert bench.tracker.answered(partial, asked) is None
    return bench.tracker.answered(rest, asked)


def offer(bench: Bench, *texts: str, asked: str = "again", version: int = 1) -> bool:
    """Alternatives for the place of ``suggest``, the first with the request's id."""
    place = request(asked)
    snapshot = msgspec.structs.replace(place.snapshot, version=version)
    place = msgspec.structs.replace(place, snapshot=snapshot)
    stands = bench.tracker.asked_again(place)
    ids = [asked, *(f"{asked}-{number}" for number in range(1, len(texts)))]
    bench.tracker.offered([completion(i, t) for i, t in zip(ids, texts, strict=True)], place)
    return stands
