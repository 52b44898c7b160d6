"""What becomes of suggestions in their documents."""

from __future__ import annotations

import pytest

from lsp_server.acceptance.events import Ended, PartiallyAccepted, Retained, Written
from lsp_server.types import Edit, Position
from tests.acceptance.bench import Bench, type_text
from tests.acceptance.makers import request


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
