"""What counts as shown, accepted, partially accepted and dismissed."""

from __future__ import annotations

import math

import msgspec
import pytest

from lsp_server.acceptance.events import (
    Accepted,
    Dismissed,
    Ended,
    PartiallyAccepted,
    Requested,
    Retained,
    Shown,
    Written,
    to_row,
)
from lsp_server.acceptance.salt import TextHasher
from lsp_server.acceptance.tracker import AcceptanceTracker
from lsp_server.score.features import VERSION
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


@pytest.fixture
def bench() -> Bench:
    """A fresh tracker."""
    return Bench()


def reason(skip: Skip | None) -> str:
    """The reason of a skip."""
    assert skip is not None
    return skip.reason


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


def test_answer_to_a_silent_client_counts_as_shown(bench: Bench) -> None:
    """Without show notifications a non-empty answer is assumed to be shown."""
    asked = request()
    bench.tracker.requested(asked)
    bench.now_s = 100.125
    assert bench.tracker.answered(completion(text="a\n  b\n"), asked) is None
    shown = bench.log.events[-1]
    assert isinstance(shown, Shown)
    assert (shown.evidence, shown.n_chars, shown.n_lines) == ("answered", 6, 3)
    assert (shown.latency_ms, shown.ttft_ms, shown.score) == (125.0, 40.0, -0.25)
    assert (shown.model, shown.language, shown.client) == ("0.5b", "python", "Neovim")


def test_empty_answer_is_not_shown(bench: Bench) -> None:
    """An empty text shows nothing, and can be neither accepted nor dismissed."""
    assert reason(bench.suggest(text="")) == "empty"
    assert reason(bench.tracker.accepted("c1")) == "unknown_completion"
    assert bench.log.kinds == ["Requested"]


def test_superseded_answer_is_not_shown(bench: Bench) -> None:
    """An answer that comes after a newer request of the document is not assumed to be shown."""
    old, new = request("old"), request("new")
    bench.tracker.requested(old)
    bench.tracker.requested(new)
    assert reason(bench.tracker.answered(completion("old"), old)) == "superseded"
    assert bench.tracker.answered(completion("new"), new) is None
    assert bench.log.kinds == ["Requested", "Requested", "Shown"]


def test_request_in_another_document_supersedes_nothing(bench: Bench) -> None:
    """Documents are apart: a request elsewhere leaves an answer valid."""
    here = request("here")
    bench.tracker.requested(here)
    bench.tracker.requested(request("there", uri="file:///other.py"))
    assert bench.tracker.answered(completion("here"), here) is None
    assert bench.log.kinds[-1] == "Shown"


def test_only_notified_ones_count_once_the_client_notifies(bench: Bench) -> None:
    """From the first show notification on, and the answer it is about, an answer is no evidence."""
    bench.suggest("a")
    bench.tracker.shown("a")
    bench.suggest("b")
    bench.suggest("c")
    assert bench.tracker.shown("c") is None
    shown = [event for event in bench.log.events if isinstance(event, Shown)]
    assert [(event.completion_id, event.evidence) for event in shown] == [
        ("a", "client"),
        ("c", "client"),
    ]


@pytest.mark.parametrize("between", ["a while", "a key", "a request", "a suggestion"])
def test_a_first_report_that_comes_late_is_about_what_was_assumed(
    bench: Bench, between: str
) -> None:
    """So it cannot tell any more how that one was shown; all that follow are announced."""
    bench.suggest("a")
    if between == "a while":
        bench.clock.go_on(10)
    elif between == "a key":
        snapshot = request(text="def add(a, b):\n    x").snapshot
        edit = Edit(Position(1, 4), Position(1, 4), "x", "")
        bench.tracker.document_edited(snapshot, [edit])
    elif between == "a request":
        bench.tracker.requested(request("b"))
    else:
        bench.suggest("b")
    assert reason(bench.tracker.shown("a")) == "already_shown"
    shown = [event for event in bench.log.events if isinstance(event, Shown)]
    assert {event.evidence for event in shown} == {"answered"}
    assert bench.tracker.client_announces


def test_the_first_report_may_be_about_one_that_took_the_place_of_another(bench: Bench) -> None:
    """The other one ends before it is known how this one is shown."""
    bench.suggest("a")
    bench.tracker.requested(request("b"))
    bench.tracker.answered(completion("b", "return b"), request("b"))
    bench.tracker.shown("b")
    told = [(type(e).__name__, getattr(e, "evidence", "")) for e in bench.log.events]
    assert told == [
        *(("Requested", ""), ("Shown", "answered")),
        *(("Requested", ""), ("Ended", ""), ("Shown", "client")),
    ]


def test_show_notification_before_the_answer(bench: Bench) -> None:
    """A client that shows a partial result first is logged with the size of the whole."""
    asked = request()
    bench.tracker.requested(asked)
    bench.now_s = 100.05
    bench.tracker.answered(completion(text="return", complete=False), asked)
    bench.now_s = 100.5
    bench.tracker.shown("c1")
    bench.tracker.answered(completion(text="return a + b"), asked)
    shown = [event for event in bench.log.events if isinstance(event, Shown)]
    assert [(event.n_chars, event.evidence) for event in shown] == [(12, "client")]
    assert shown[0].latency_ms == pytest.approx(50.0)


def test_show_notification_before_any_text(bench: Bench) -> None:
    """A notification that overtakes the answer counts as soon as there is a text."""
    asked = request()
    bench.tracker.requested(asked)
    assert bench.tracker.shown("c1") is None
    assert bench.log.kinds == ["Requested"]
    bench.tracker.answered(completion(), asked)
    assert bench.log.kinds == ["Requested", "Shown"]


def test_partial_results_are_no_assumption(bench: Bench) -> None:
    """A growing answer is assumed to be shown only when it is complete, and once."""
    asked = request()
    bench.tracker.requested(asked)
    for text in ("re", "return", "return a"):
        assert bench.tracker.answered(completion(text=text, complete=False), asked) is None
    assert bench.log.kinds == ["Requested"]
    bench.tracker.answered(completion(), asked)
    assert bench.log.kinds == ["Requested", "Shown"]


def test_one_shown_per_suggestion(bench: Bench) -> None:
    """However often a suggestion is announced, it is shown once."""
    bench.suggest()
    assert reason(bench.tracker.shown("c1")) == "already_shown"
    assert reason(bench.tracker.shown("c1")) == "already_shown"
    assert bench.log.kinds == ["Requested", "Shown"]


def judged(p: float | None, *, complete: bool = True) -> Completion:
    """A suggestion with a probability."""
    return msgspec.structs.replace(completion(complete=complete), p=p)


def shows(bench: Bench) -> list[Shown]:
    """The events of that kind."""
    return [event for event in bench.log.events if isinstance(event, Shown)]


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


@pytest.mark.parametrize("end", ["accepted", "dismissed", "failed"])
def test_what_ended_while_it_grew_was_shown(bench: Bench, end: str) -> None:
    """Its probability is not known then."""
    asked = request()
    bench.tracker.requested(asked)
    bench.tracker.answered(judged(None, complete=False), asked)
    bench.tracker.shown("c1")
    if end == "failed":
        bench.tracker.failed(asked, "cancelled")
    else:
        getattr(bench.tracker, end)("c1")
    assert bench.log.kinds[:3] == ["Requested", "Shown", end.capitalize()]
    assert [(event.p, event.evidence) for event in shows(bench)] == [(None, "client")]


def test_accept_counts_once(bench: Bench) -> None:
    """Accepting twice is accepting once."""
    bench.suggest()
    assert bench.tracker.accepted("c1") is None
    assert reason(bench.tracker.accepted("c1")) == "already_accepted"
    accepts = [event for event in bench.log.events if isinstance(event, Accepted)]
    assert [(event.completion_id, event.n_chars, event.model) for event in accepts] == [
        ("c1", 12, "0.5b")
    ]


def test_accept_proves_that_it_was_shown(bench: Bench) -> None:
    """Accepting something that was not logged as shown logs that first."""
    bench.tracker.client_announces = True
    bench.suggest()
    bench.tracker.accepted("c1")
    assert bench.log.kinds == ["Requested", "Shown", "Accepted", "Ended"]
    shown = bench.log.events[1]
    assert isinstance(shown, Shown)
    assert shown.evidence == "accepted"


@pytest.mark.parametrize("call", ["shown", "accepted", "dismissed"])
def test_unknown_id_is_ignored(bench: Bench, call: str) -> None:
    """An id that was never given out changes nothing and gives the reason."""
    assert reason(getattr(bench.tracker, call)("nobody")) == "unknown_completion"
    assert reason(bench.tracker.partially_accepted("nobody", 3)) == "unknown_completion"
    assert bench.log.events == []


def test_partial_accept_is_cumulative(bench: Bench) -> None:
    """Each partial accept tells how much was taken so far; less than before is ignored."""
    bench.suggest()
    assert bench.tracker.partially_accepted("c1", 6) is None
    assert reason(bench.tracker.partially_accepted("c1", 6)) == "nothing_new"
    assert bench.tracker.partially_accepted("c1", 8) is None
    parts = [event for event in bench.log.events if isinstance(event, PartiallyAccepted)]
    assert [event.n_chars for event in parts] == [6, 8]


def test_partial_accept_of_everything_is_an_accept(bench: Bench) -> None:
    """Taking the last word makes it accepted; the accept command after it adds nothing."""
    bench.suggest()
    bench.tracker.partially_accepted("c1", 6)
    assert bench.tracker.partially_accepted("c1", 12) is None
    assert bench.log.kinds[-2:] == ["Accepted", "Ended"]
    assert reason(bench.tracker.accepted("c1")) == "already_accepted"


@pytest.mark.parametrize(
    ("n_utf16", "n_chars"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 4), (0, None), (-3, None)]
)
def test_partial_lengths_are_utf16(bench: Bench, n_utf16: int, n_chars: int | None) -> None:
    """Lengths come in UTF-16 code units and are logged in characters."""
    bench.suggest(text="x\N{GRINNING FACE}yz more")
    skip = bench.tracker.partially_accepted("c1", n_utf16)
    parts = [event for event in bench.log.events if isinstance(event, PartiallyAccepted)]
    assert [event.n_chars for event in parts] == ([] if n_chars is None else [n_chars])
    assert (skip is None) == (n_chars is not None)


def test_dismissal_is_what_the_client_says(bench: Bench) -> None:
    """A dismissal is logged once, with its reason."""
    bench.suggest()
    assert bench.tracker.dismissed("c1", "escape") is None
    assert reason(bench.tracker.dismissed("c1")) == "already_dismissed"
    dismissals = [event for event in bench.log.events if isinstance(event, Dismissed)]
    assert [event.reason for event in dismissals] == ["escape"]


def test_what_was_accepted_cannot_be_dismissed(bench: Bench) -> None:
    """A late dismissal does not undo an accept."""
    bench.suggest()
    bench.tracker.accepted("c1")
    assert reason(bench.tracker.dismissed("c1")) == "already_accepted"


def test_what_was_not_shown_cannot_be_dismissed(bench: Bench) -> None:
    """Clearing away what the user never saw is no decision of the user."""
    bench.tracker.client_announces = True
    bench.suggest()
    assert reason(bench.tracker.dismissed("c1")) == "not_shown"


def test_next_suggestion_dismisses_nothing(bench: Bench) -> None:
    """That a suggestion was not accepted is unknown, never a dismissal."""
    bench.suggest("a")
    bench.suggest("b")
    bench.tracker.accepted("b")
    assert "Dismissed" not in bench.log.kinds


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


def test_memory_is_bounded() -> None:
    """The oldest suggestions are forgotten, the newest are not."""
    bench = Bench(max_tracked=10)
    for n in range(50):
        bench.suggest(f"c{n}")
    assert reason(bench.tracker.accepted("c39")) == "unknown_completion"
    assert bench.tracker.accepted("c40") is None
    for n in range(50):
        bench.tracker.requested(request(f"d{n}", uri=f"file:///{n}.py"))
    assert len(bench.tracker._newest) == 10


# -- what is left, and what is written ---------------------------------------------------


def type_text(bench: Bench, text: str, at: Position, before: str) -> str:
    """Insert something into the document; gives its new text."""
    lines = before.splitlines(keepends=True)
    offset = sum(map(len, lines[: at.line])) + at.column
    after = before[:offset] + text + before[offset:]
    snapshot = request(text=after).snapshot
    bench.tracker.document_edited(snapshot, [Edit(at, at, text, "")])
    return after


def test_what_is_left_of_an_accepted_suggestion_is_logged(bench: Bench) -> None:
    """At each of the times, as long as the document is open."""
    asked = request()
    bench.tracker.document_opened(asked.snapshot)
    bench.suggest("c1", "return a + b")
    text = type_text(bench, "return a + b", Position(1, 4), asked.snapshot.text)
    bench.tracker.accepted("c1")
    bench.clock.go_on(20)
    type_text(bench, "oh", Position(1, 8), text)
    bench.clock.go_on(20)
    bench.tracker.document_closed(asked.snapshot.uri)
    bench.clock.go_on(1000)
    found = [event for event in bench.log.events if isinstance(event, Retained)]
    assert [(e.after_s, e.n_chars, e.n_kept) for e in found] == [(15.0, 12, 12), (30.0, 12, 12)]
    assert {(e.completion_id, e.model, e.language) for e in found} == {("c1", "0.5b", "python")}


def test_parts_are_followed_too(bench: Bench) -> None:
    """As much of them as was taken."""
    asked = request()
    bench.tracker.document_opened(asked.snapshot)
    bench.suggest("c1", "return a + b")
    text = type_text(bench, "return", Position(1, 4), asked.snapshot.text)
    bench.tracker.partially_accepted("c1", 6)
    type_text(bench, " a", Position(1, 10), text)
    bench.tracker.partially_accepted("c1", 8)
    bench.clock.go_on(15)
    (event,) = [event for event in bench.log.events if isinstance(event, Retained)]
    assert (event.n_chars, event.n_kept) == (8, 8)


def test_what_is_written_is_counted(bench: Bench) -> None:
    """Once a minute, and at the end; accepted characters apart."""
    asked = request()
    bench.tracker.document_opened(asked.snapshot)
    text = type_text(bench, "return ", Position(1, 4), asked.snapshot.text)
    bench.suggest("c1", "a + b")
    bench.clock.go_on(61)
    type_text(bench, "a + b", Position(1, 11), text)
    bench.tracker.accepted("c1")
    bench.tracker.close()
    found = [event for event in bench.log.events if isinstance(event, Written)]
    assert [(event.n_chars, event.n_accepted) for event in found] == [(7, 0), (5, 5)]
    bench.tracker.close()
    assert len([event for event in bench.log.events if isinstance(event, Written)]) == 2


def test_what_is_written_is_told_by_language_and_kind_of_file(bench: Bench) -> None:
    """Of a text that is sent as a whole only what is new in it."""
    text = "a = 1\n" * 100
    for uri in ("file:///shop.py", "file:///test_shop.py", "file:///shop.py"):
        after = text + "b = 2\n"
        snapshot = request(text=after, uri=uri).snapshot
        edit = Edit(Position(0, 0), Position(100, 0), after, text)
        bench.tracker.document_edited(snapshot, [edit])
    bench.tracker.close()
    found = [event for event in bench.log.events if isinstance(event, Written)]
    assert [(e.language, e.file_kind, e.n_chars) for e in found] == [
        ("python", "source", 12), ("python", "test", 6),
    ]  # fmt: skip


def test_after_an_accept_it_is_another_suggestion(bench: Bench) -> None:
    """Undone and suggested again, it may be accepted again."""
    for completion_id in ("c1", "c2"):
        asked = request(completion_id)
        bench.tracker.requested(asked)
        answer = msgspec.structs.replace(completion(completion_id), identity="1:12")
        bench.tracker.answered(answer, asked)
        assert bench.tracker.accepted(completion_id) is None
    assert kinds(bench) == [
        ("Shown", "c1"), ("Accepted", "c1"), ("Shown", "c2"), ("Accepted", "c2"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("n_utf16", "unit"), [(6, "word"), (12, "line"), (13, "line"), (15, "line")]
)
def test_a_part_is_a_word_or_a_line(bench: Bench, n_utf16: int, unit: str) -> None:
    """A line if it goes to the end of one, also over several."""
    bench.suggest(text="return a + b\n\nmore")
    bench.tracker.partially_accepted("c1", n_utf16)
    (event,) = [each for each in bench.log.events if isinstance(each, PartiallyAccepted)]
    assert event.unit == unit


def test_an_empty_answer_takes_the_place_of_what_stood_there(bench: Bench) -> None:
    """But one that was overtaken says nothing."""
    bench.suggest("c1")
    for completion_id, why in (("c2", "cancelled"), ("c3", "model_stopped")):
        asked = request(completion_id)
        bench.tracker.requested(asked)
        bench.tracker.failed(asked, why)
        ends = [event.how for event in bench.log.events if isinstance(event, Ended)]
        assert ends == ([] if why == "cancelled" else ["superseded"])


# -- the same suggestion again -----------------------------------------------------------


def go_on(bench: Bench, completion_id: str, text: str, identity: str = "1:12") -> Skip | None:
    """A request behind a part that was typed, answered with the rest of the suggestion."""
    asked = request(completion_id)
    bench.tracker.requested(asked)
    rest = completion(completion_id, text)
    rest = msgspec.structs.replace(rest, origin="cache", identity=identity)
    partial = msgspec.structs.replace(rest, complete=False, identity="")
    assert bench.tracker.answered(partial, asked) is None
    return bench.tracker.answered(rest, asked)


def start(bench: Bench, text: str = "return a + b") -> None:
    """The suggestion as it is shown first."""
    asked = request("c1")
    bench.tracker.requested(asked)
    whole = msgspec.structs.replace(completion("c1", text), identity="1:12")
    bench.tracker.answered(whole, asked)


def kinds(bench: Bench) -> list[tuple[str, str]]:
    """Events but requests and endings, with the ids that they are about."""
    return [
        (type(event).__name__, event.completion_id)
        for event in bench.log.events
        if not isinstance(event, Requested | Ended)
    ]


def test_what_is_left_of_a_suggestion_is_the_same_one(bench: Bench) -> None:
    """Shown once, accepted once, under the id it had first."""
    start(bench)
    go_on(bench, "c2", "turn a + b")
    go_on(bench, "c3", " a + b")
    bench.tracker.accepted("c3")
    bench.tracker.accepted("c1")
    assert kinds(bench) == [
        ("Shown", "c1"), ("Continued", "c2"), ("Continued", "c3"), ("Accepted", "c1"),
    ]  # fmt: skip
    *_, event, ended = bench.log.events
    assert isinstance(event, Accepted)
    assert event.n_chars == len(" a + b")
    assert isinstance(ended, Ended)
    assert (ended.how, ended.n_chars, ended.n_typed) == ("accepted", 12, len("return"))


def test_another_end_is_another_suggestion(bench: Bench) -> None:
    """So is one of another stream."""
    start(bench)
    go_on(bench, "c2", "turn a", identity="1:8")
    go_on(bench, "c3", "turn a + b", identity="2:12")
    assert kinds(bench) == [("Shown", "c1"), ("Shown", "c2"), ("Shown", "c3")]


def test_a_client_that_announces_shows_it_once(bench: Bench) -> None:
    """However often it says so."""
    bench.tracker.client_announces = True
    start(bench)
    bench.tracker.shown("c1")
    go_on(bench, "c2", "turn a + b")
    bench.tracker.shown("c2")
    bench.tracker.dismissed("c2")
    assert kinds(bench) == [("Shown", "c1"), ("Continued", "c2"), ("Dismissed", "c1")]


# -- alternatives ------------------------------------------------------------------------


def offer(bench: Bench, *texts: str, asked: str = "again", version: int = 1) -> bool:
    """Alternatives for the place of ``suggest``, the first with the request's id."""
    place = request(asked)
    snapshot = msgspec.structs.replace(place.snapshot, version=version)
    place = msgspec.structs.replace(place, snapshot=snapshot)
    stands = bench.tracker.asked_again(place)
    ids = [asked, *(f"{asked}-{number}" for number in range(1, len(texts)))]
    bench.tracker.offered([completion(i, t) for i, t in zip(ids, texts, strict=True)], place)
    return stands


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


def test_alternatives_belong_to_the_one_that_stands_there(bench: Bench) -> None:
    """No request, no second shown; the accept is that of the first, with the text taken."""
    bench.tracker.client_announces = True
    bench.suggest()
    bench.tracker.shown("c1")
    assert offer(bench, "return a + b", "return b") is True
    bench.tracker.shown("again-1")
    assert bench.tracker.accepted("again-1") is None
    assert reason(bench.tracker.accepted("again")) == "already_accepted"
    assert reason(bench.tracker.accepted("c1")) == "already_accepted"
    assert told(bench) == ["Requested c1", "Shown c1", "Continued again-1", "Accepted c1"]
    assert accepts(bench) == [("c1", len("return b"))]


def test_the_first_may_be_taken_after_all(bench: Bench) -> None:
    """By its old id or by its new one, with its own text."""
    bench.tracker.client_announces = True
    for taken in ("c1", "again"):
        bench.log.events.clear()
        bench.suggest()
        bench.tracker.shown("c1")
        offer(bench, "return a + b", "return b")
        for name in ("again-1", taken):
            bench.tracker.shown(name)
        assert bench.tracker.accepted(taken) is None
        assert accepts(bench) == [("c1", len("return a + b"))]


@pytest.mark.parametrize("before", ["nothing", "another version", "accepted"])
def test_alternatives_without_one_that_stands_there_are_asked_for(
    bench: Bench, before: str
) -> None:
    """They are an opportunity of their own then."""
    bench.tracker.client_announces = True
    if before != "nothing":
        bench.suggest()
        bench.tracker.shown("c1")
    if before == "accepted":
        bench.tracker.accepted("c1")
    bench.log.events.clear()
    assert offer(bench, "x", "y", version=2 if before == "another version" else 1) is False
    bench.tracker.shown("again-1")
    bench.tracker.shown("again")
    bench.tracker.dismissed("again")
    assert told(bench) == ["Requested again", "Shown again", "Dismissed again"]


def test_alternatives_of_a_client_that_does_not_announce(bench: Bench) -> None:
    """The first is taken for shown, the others only once they are accepted."""
    offer(bench, "x", "y")
    assert told(bench) == ["Requested again", "Shown again"]
    bench.tracker.accepted("again-1")
    assert told(bench)[2:] == ["Continued again-1", "Accepted again"]


def test_what_is_left_of_an_alternative_is_the_same(bench: Bench) -> None:
    """It is named by its stream, as what is left of any other."""
    bench.tracker.client_announces = True
    bench.suggest()
    bench.tracker.shown("c1")
    place = request("again")
    bench.tracker.asked_again(place)
    other = msgspec.structs.replace(completion("other", "return b"), identity="7:8")
    bench.tracker.offered([completion("again"), other], place)
    bench.tracker.shown("other")
    rest = request("rest", text="def add(a, b):\n    ret", column=7)
    bench.tracker.requested(rest)
    left = msgspec.structs.replace(completion("rest", "urn b"), column=7, identity="7:8")
    bench.tracker.answered(left, rest)
    bench.tracker.shown("rest")
    bench.tracker.accepted("rest")
    assert told(bench)[2:] == [
        "Continued other", "Requested rest", "Continued rest", "Accepted c1",
    ]  # fmt: skip
