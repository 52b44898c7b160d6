"""What counts as shown, accepted, partially accepted and dismissed."""

from __future__ import annotations

import pytest

from lsp_server.acceptance.events import Accepted, Dismissed, PartiallyAccepted, Shown
from lsp_server.types import Edit, Position
from tests.acceptance.bench import Bench, judged, reason, shows
from tests.acceptance.makers import completion, request


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
